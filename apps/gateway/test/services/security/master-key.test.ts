import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FrontdeskError } from '#src/model/errors.ts'
import { loadMasterKey } from '#src/services/security/master-key.ts'

let directory: string
let file: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'frontdesk-key-'))
  file = join(directory, 'data', 'master.key')
})
afterEach(() => rm(directory, { recursive: true }))

const load = (isClaimed: boolean, masterKey?: Buffer) =>
  loadMasterKey({ masterKey, masterKeyFile: file }, async () => isClaimed)

const codeOf = async (loading: Promise<unknown>) => {
  const error = await loading.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  return error instanceof FrontdeskError ? error.code : error
}

describe('the master key', () => {
  it('is generated once for a new database, for its owner only, and read ever after', async () => {
    const first = await load(false)
    expect(first.generatedFile).toBe(file)
    expect(first.masterKey).toHaveLength(32)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    const again = await load(true)
    expect(again).toEqual({ masterKey: first.masterKey, generatedFile: undefined })
    expect(await readdir(join(directory, 'data'))).toEqual(['master.key'])
  })

  it('is never generated for a database that was made with another one', async () => {
    expect(await codeOf(load(true))).toBe('master_key_missing')
    await expect(stat(file)).rejects.toThrow('ENOENT')
  })

  it('is the setting when there is one, and no file is touched', async () => {
    const masterKey = randomBytes(32)
    expect(await load(false, masterKey)).toEqual({ masterKey, generatedFile: undefined })
    await expect(stat(file)).rejects.toThrow('ENOENT')
  })

  it('is one for several first starts at the same moment, and one of them has made it', async () => {
    const loaded = await Promise.all([load(false), load(false), load(false)])
    expect(new Set(loaded.map(({ masterKey }) => masterKey.toString('hex'))).size).toBe(1)
    expect(loaded.filter(({ generatedFile }) => generatedFile !== undefined)).toHaveLength(1)
  })

  it.each(['', 'not a key', 'ab'.repeat(31)])(
    'is refused, and kept, when its file holds something else: %j',
    async (text) => {
      await load(false)
      await writeFile(file, text)
      expect(await codeOf(load(false))).toBe('configuration_invalid')
      expect(await readFile(file, 'utf8')).toBe(text)
    },
  )
})
