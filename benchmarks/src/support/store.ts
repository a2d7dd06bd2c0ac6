import { type Database, openDatabase } from '@frontdesk/gateway/src/storage/database.ts'
import { startEmbeddedPostgres } from '@frontdesk/gateway/src/storage/embedded/embedded-postgres.ts'
import { type KeyRing, openKeyRing } from '@frontdesk/gateway/src/storage/key-ring.ts'
import { migrate } from '@frontdesk/gateway/src/storage/migrate.ts'
import { startWriter, type Writer } from '@frontdesk/gateway/src/storage/writer/writer.ts'
import pino from 'pino'
import type { DataDirectory } from './data-directory.ts'

/** A gateway's storage without the gateway. */
export interface Store extends AsyncDisposable {
  readonly database: Database
  readonly keyRing: KeyRing
  readonly writer: Writer
}

/** Opens it, and creates it at the first time. No gateway may be running on it. */
export async function openStore({ path, masterKey }: DataDirectory): Promise<Store> {
  const log = pino({ level: 'warn' }, pino.destination(2))
  await using opening = new AsyncDisposableStack()
  const { url } = opening.use(await startEmbeddedPostgres({ dataDir: path, log }))
  await migrate(url)
  const database = opening.use(await openDatabase(url))
  const keyRing = await openKeyRing(database, Buffer.from(masterKey, 'hex'), 'emulator')
  const writer = opening.use(await startWriter({ database, log }))
  const open = opening.move()
  return { database, keyRing, writer, [Symbol.asyncDispose]: () => open.disposeAsync() }
}
