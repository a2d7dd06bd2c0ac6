import { rotateDataKeys } from '#src/services/security/rotate-data-keys.ts'
import { openDatabase } from '#src/storage/database.ts'
import { openKeyRing } from '#src/storage/key-ring.ts'

/** What the test hands to the process that it is going to kill. */
export interface RotationChildOptions {
  databaseUrl: string
  masterKey: string
}

/** Rotates all data keys, and tells its parent of each batch. */
const [options] = process.argv.slice(2)
if (options === undefined) throw new Error('Started by a test, with its options as JSON.')
const { databaseUrl, masterKey } = JSON.parse(options) as RotationChildOptions
const database = await openDatabase(databaseUrl)
const keyRing = await openKeyRing(database, Buffer.from(masterKey, 'hex'), 'emulator')
await rotateDataKeys({
  ...{ database, keyRing },
  signal: new AbortController().signal,
  onProgress: (progress) => process.send?.(progress),
})
