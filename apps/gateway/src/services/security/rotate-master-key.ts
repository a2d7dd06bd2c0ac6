import { link, open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { FrontdeskError } from '#src/model/errors.ts'
import type { Database } from '#src/storage/database.ts'
import { replaceMasterKey } from '#src/storage/key-rotation.ts'
import { type MasterKeyPlace, newMasterKey, requireKeyFile, writeKeyFile } from './master-key.ts'

export interface MasterKeyRotation {
  /** The file that holds the former key from now on; undefined if the key comes from the settings. */
  formerKeyFile: string | undefined
}

/**
 * Wraps all data keys by a new master key: the one in `newMasterKeyFile`, or else a generated one. A deployment whose key
 * is in its key file has the new one there afterwards, and the former one beside it.
 *
 * The order makes every instant one at which the deployment can start: the new key is durable before the database knows
 * of it, and the database accepts both until the former one is dropped. Called again after a crash, it goes on.
 * @throws FrontdeskError `key_rotation_unfinished`, `master_key_wrong`, `master_key_missing`, `configuration_invalid`
 */
export async function rotateMasterKey(
  database: Database,
  { masterKey, masterKeyFile }: MasterKeyPlace,
  newMasterKeyFile?: string,
): Promise<MasterKeyRotation> {
  const given = newMasterKeyFile === undefined ? undefined : await requireKeyFile(newMasterKeyFile)
  if (masterKey !== undefined) {
    if (given === undefined)
      throw new FrontdeskError(
        'configuration_invalid',
        'The master key is set by FRONTDESK_MASTER_KEY: name a file with the new one by --new-master-key-file.',
      )
    await replaceMasterKey(database, masterKey, given)
    return { formerKeyFile: undefined }
  }
  const nextFile = `${masterKeyFile}.next`
  const current = await requireKeyFile(masterKeyFile)
  await writeKeyFile(nextFile, given ?? newMasterKey())
  const next = await requireKeyFile(nextFile)
  if (given !== undefined && !next.equals(given))
    throw new FrontdeskError(
      'key_rotation_unfinished',
      `${nextFile} holds another new key. Rotate without --new-master-key-file to go on with it, or remove it.`,
    )
  const formerNumber = await replaceMasterKey(database, current, next)
  const formerKeyFile = `${masterKeyFile}.${formerNumber}`
  await linkUnlessThere(masterKeyFile, formerKeyFile)
  await rename(nextFile, masterKeyFile)
  await using directory = await open(dirname(masterKeyFile))
  await directory.sync()
  return { formerKeyFile }
}

async function linkUnlessThere(existing: string, name: string): Promise<void> {
  try {
    await link(existing, name)
  } catch (error) {
    // An earlier try has come so far.
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
}
