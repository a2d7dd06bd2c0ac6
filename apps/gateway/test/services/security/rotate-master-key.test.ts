import { link, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { loadMasterKey } from '#src/services/security/master-key.ts'
import { rotateMasterKey } from '#src/services/security/rotate-master-key.ts'
import { openKeyRing } from '#src/storage/key-ring.ts'
import { dropFormerMasterKey, replaceMasterKey } from '#src/storage/key-rotation.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'

let testDatabase: TestDatabase
let directory: string
let masterKeyFile: string
let companyId: string
let sealed: Uint8Array
beforeEach(async () => {
  testDatabase = await createTestDatabase()
  directory = await mkdtemp(join(tmpdir(), 'frontdesk-master-key-'))
  masterKeyFile = join(directory, 'master.key')
  await writeFile(masterKeyFile, Buffer.from(testDatabase.masterKey).toString('hex'))
  companyId = await testDatabase.createCompany()
  sealed = (await testDatabase.keyRing.sealerOf(companyId)).seal(Buffer.from('secret'), 'here')
})
afterEach(async () => {
  await testDatabase[Symbol.asyncDispose]()
  await rm(directory, { recursive: true })
})

const rotate = (newFile?: string) =>
  rotateMasterKey(testDatabase.database, { masterKey: undefined, masterKeyFile }, newFile)

/** A start of the gateway, as far as the keys go. */
async function start(masterKey?: Buffer): Promise<string> {
  const loaded = await loadMasterKey({ masterKey, masterKeyFile }, async () => true)
  const keyRing = await openKeyRing(testDatabase.database, loaded.masterKey, 'emulator')
  return Buffer.from(await (await keyRing.sealerOf(companyId)).open(sealed, 'here')).toString()
}

describe('a new master key in the key file', () => {
  test('is there with its former one beside it, and both open the database until the former one is dropped', async () => {
    const { formerKeyFile } = await rotate()
    expect(formerKeyFile).toBe(`${masterKeyFile}.1`)
    expect((await readdir(directory)).sort()).toEqual(['master.key', 'master.key.1'])
    expect(await start()).toBe('secret')
    const former = Buffer.from((await readFile(`${masterKeyFile}.1`, 'utf8')).trim(), 'hex')
    expect(await start(former)).toBe('secret')
    const { masterKey } = await loadMasterKey({ masterKey: undefined, masterKeyFile }, async () => true)
    await dropFormerMasterKey(
      testDatabase.database,
      (await openKeyRing(testDatabase.database, masterKey, 'emulator')).master,
    )
    await expect(start(former)).rejects.toMatchObject({ code: 'master_key_wrong' })
    expect(await start()).toBe('secret')
  })

  test('comes after a crash at any instant, at each of which the deployment starts', async () => {
    const nextFile = `${masterKeyFile}.next`
    const next = 'ab'.repeat(32)
    const instants: (() => Promise<unknown>)[] = [
      () => writeFile(nextFile, next),
      () => replaceMasterKey(testDatabase.database, testDatabase.masterKey, Buffer.from(next, 'hex')),
      () => link(masterKeyFile, `${masterKeyFile}.1`),
    ]
    for (const crashed of instants) {
      await crashed()
      expect(await start()).toBe('secret')
    }
    // The last of them is gone on with, as each of them would be.
    await rotate()
    expect((await readFile(masterKeyFile, 'utf8')).trim()).toBe(next)
    expect(await start()).toBe('secret')
    expect((await readdir(directory)).sort()).toEqual(['master.key', 'master.key.1'])
    await expect(rotate()).rejects.toMatchObject({ code: 'key_rotation_unfinished' })
    expect(await start()).toBe('secret')
  })

  test('can be one that is given', async () => {
    const file = join(directory, 'given')
    await writeFile(file, 'cd'.repeat(32))
    await rotate(file)
    expect((await readFile(masterKeyFile, 'utf8')).trim()).toBe('cd'.repeat(32))
    expect(await start()).toBe('secret')
  })
})

test('a master key from the settings is replaced by one that is given, and no file is touched', async () => {
  const file = join(directory, 'given')
  await writeFile(file, 'ef'.repeat(32))
  const place = { masterKey: Buffer.from(testDatabase.masterKey), masterKeyFile: join(directory, 'none') }
  await expect(rotateMasterKey(testDatabase.database, place)).rejects.toMatchObject({ code: 'configuration_invalid' })
  await rotateMasterKey(testDatabase.database, place, file)
  expect(await start(Buffer.from('ef'.repeat(32), 'hex'))).toBe('secret')
  expect(await start(place.masterKey)).toBe('secret')
})
