import { randomBytes } from 'node:crypto'
import { link, mkdir, open, readFile, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { FrontdeskError } from '#src/model/errors.ts'

const MASTER_KEY_BYTES = 32

export interface MasterKeyPlace {
  /** From the settings: 32 bytes. It goes before the file. */
  masterKey: Buffer | undefined
  /** Absolute path of the key file. */
  masterKeyFile: string
}

export interface LoadedMasterKey {
  masterKey: Buffer
  /** Set when the key was generated just now: its owner has to be told to back it up. */
  generatedFile: string | undefined
}

/**
 * The key that everything is sealed with: the setting, or else the key file, which is generated for a new database.
 *
 * @param isDatabaseClaimed whether a master key has been used with this database; then none is ever generated
 * @throws FrontdeskError `master_key_missing` when the database has a key and it is not here, `configuration_invalid`
 * when the file holds something else
 */
export async function loadMasterKey(
  { masterKey, masterKeyFile }: MasterKeyPlace,
  isDatabaseClaimed: () => Promise<boolean>,
): Promise<LoadedMasterKey> {
  if (masterKey !== undefined) return { masterKey, generatedFile: undefined }
  const stored = await readKeyFile(masterKeyFile)
  if (stored !== undefined) return { masterKey: stored, generatedFile: undefined }
  if (await isDatabaseClaimed()) throw new FrontdeskError('master_key_missing', `Expected it in ${masterKeyFile}.`)
  const isOurs = await writeKeyFile(masterKeyFile, newMasterKey())
  const written = await readKeyFile(masterKeyFile)
  if (written === undefined) throw new FrontdeskError('master_key_missing', `${masterKeyFile} was removed meanwhile.`)
  return { masterKey: written, generatedFile: isOurs ? masterKeyFile : undefined }
}

export const newMasterKey = (): Buffer => randomBytes(MASTER_KEY_BYTES)

/** Undefined if there is no such file. @throws FrontdeskError `configuration_invalid` */
export async function readKeyFile(file: string): Promise<Buffer | undefined> {
  let text: string
  try {
    text = (await readFile(file, 'utf8')).trim()
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw new FrontdeskError('configuration_invalid', `The master key in ${file} cannot be read.`, { cause: error })
  }
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex')
  throw new FrontdeskError('configuration_invalid', `${file} must hold the master key: 64 hex characters.`)
}

/** Durable and whole, or not there at all. False when there is one already: then its key counts. */
export async function writeKeyFile(file: string, key: Buffer): Promise<boolean> {
  await mkdir(dirname(file), { recursive: true })
  const draft = `${file}.${randomBytes(6).toString('hex')}`
  try {
    await using handle = await open(draft, 'wx', 0o600)
    await handle.writeFile(`${key.toString('hex')}\n`)
    await handle.sync()
    await link(draft, file)
    await using directory = await open(dirname(file))
    await directory.sync()
    return true
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false
    throw error
  } finally {
    await rm(draft, { force: true })
  }
}

const isCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code

/** @throws FrontdeskError `master_key_missing`, `configuration_invalid` */
export async function requireKeyFile(file: string): Promise<Buffer> {
  const key = await readKeyFile(file)
  if (key === undefined) throw new FrontdeskError('master_key_missing', `Expected it in ${file}.`)
  return key
}
