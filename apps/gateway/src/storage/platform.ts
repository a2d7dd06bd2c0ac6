import type { Kysely, Selectable } from 'kysely'
import { createSealingKey, keyNumberOf, type SealingKey } from '#src/model/sealing.ts'
import type { Database } from './database.ts'
import type { Schema } from './schema-types.ts'

const CHECK_TEXT = Buffer.from('frontdesk')
const CHECK_CONTEXT = 'platform/master-key-check'

/** Which WhatsApp a database's sessions belong to. */
export type Environment = 'whatsapp' | 'emulator'

export type PlatformRow = Selectable<Schema['platform']>

/** Whether a master key has claimed this database: then only that key opens it. */
export async function isClaimed({ worker }: Database): Promise<boolean> {
  const platform = await worker.selectFrom('platform').select('environment').executeTakeFirst()
  return platform !== undefined
}

/** Claims a new database for a master key and an environment; does nothing to one that is claimed. */
export async function claimPlatform(
  { worker }: Database,
  masterKey: Uint8Array,
  environment: Environment,
): Promise<void> {
  await worker
    .insertInto('platform')
    .values({ environment, master_key_check: masterKeyCheck(createSealingKey(masterKey)) })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

export const readPlatform = (db: Kysely<Schema>): Promise<PlatformRow> =>
  db.selectFrom('platform').selectAll().executeTakeFirstOrThrow()

/** What only the master key opens. */
export const masterKeyCheck = (master: SealingKey): Uint8Array => master.seal(CHECK_TEXT, CHECK_CONTEXT)

/** The key with its number, if it is the database's master key, or the former one as long as that is accepted. */
export function masterKeyFor(
  { master_key_check, former_master_key_check }: PlatformRow,
  masterKey: Uint8Array,
): SealingKey | undefined {
  for (const check of [master_key_check, former_master_key_check]) {
    if (check === null) continue
    const master = createSealingKey(masterKey, keyNumberOf(check))
    if (opens(master, check)) return master
  }
  return undefined
}

export const masterKeyNumber = ({ master_key_check }: PlatformRow): number => keyNumberOf(master_key_check)

function opens(master: SealingKey, check: Uint8Array): boolean {
  try {
    return CHECK_TEXT.equals(master.open(check, CHECK_CONTEXT))
  } catch {
    // Another key made it.
    return false
  }
}
