import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { FrontdeskError } from '#src/model/errors.ts'
import { createSealer, SEALING_KEY_BYTES, type Sealer } from '#src/model/sealing.ts'
import type { Database } from './database.ts'

const MAX_CACHED_SEALERS = 10_000
const CHECK_TEXT = Buffer.from('frontdesk')
const CHECK_CONTEXT = 'platform/master-key-check'

/** Which WhatsApp a database's sessions belong to. */
export type Environment = 'whatsapp' | 'emulator'

/** The companies' data keys, each wrapped by the master key. */
export interface KeyRing {
  /** A new data key for a company that is about to be created, as it is stored. */
  newDataKey(companyId: string): Uint8Array
  /** Seals and opens what is a company's. @throws FrontdeskError `not_found` */
  sealerOf(companyId: string): Promise<Sealer>
}

/**
 * Claims a new database for this master key and environment, or makes sure that it is theirs.
 * @throws FrontdeskError `master_key_wrong`, `database_environment_mismatch`
 */
export async function openKeyRing(
  database: Database,
  masterKey: Uint8Array,
  environment: Environment,
): Promise<KeyRing> {
  const master = createSealer(masterKey)
  await database.worker
    .insertInto('platform')
    .values({ environment, master_key_check: master.seal(CHECK_TEXT, CHECK_CONTEXT) })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  const platform = await database.worker.selectFrom('platform').selectAll().executeTakeFirstOrThrow()
  if (!opens(master, platform.master_key_check)) throw new FrontdeskError('master_key_wrong')
  if (platform.environment !== environment)
    throw new FrontdeskError('database_environment_mismatch', `It belongs to: ${platform.environment}.`)

  const sealers = new LRUCache<string, Sealer>({ max: MAX_CACHED_SEALERS })
  return {
    newDataKey: (companyId) => master.seal(randomBytes(SEALING_KEY_BYTES), dataKeyContext(companyId)),
    async sealerOf(companyId) {
      const cached = sealers.get(companyId)
      if (cached) return cached
      const company = await database.worker
        .selectFrom('company')
        .select('data_key')
        .where('id', '=', companyId)
        .executeTakeFirst()
      if (!company) throw new FrontdeskError('not_found')
      const sealer = createSealer(master.open(company.data_key, dataKeyContext(companyId)))
      sealers.set(companyId, sealer)
      return sealer
    },
  }
}

const dataKeyContext = (companyId: string): string => `company/${companyId}/data-key`

function opens(master: Sealer, check: Uint8Array): boolean {
  try {
    return CHECK_TEXT.equals(master.open(check, CHECK_CONTEXT))
  } catch {
    // Another key made it.
    return false
  }
}
