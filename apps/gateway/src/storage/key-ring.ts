import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { FrontdeskError } from '#src/model/errors.ts'
import { SEALING_KEY_BYTES, type Sealer, type SealingKey } from '#src/model/sealing.ts'
import { CompanySealer } from './company-sealer.ts'
import { sealingKeyOf, unwrapDataKeys, type WrappedDataKeys, wrapDataKeys } from './data-keys.ts'
import type { Database } from './database.ts'
import { claimPlatform, type Environment, masterKeyFor, masterKeyNumber, readPlatform } from './platform.ts'

/** More than the companies whose sessions one process holds: a sealer in use is never out of reach of a rotation. */
const MAX_CACHED_SEALERS = 20_000

/** The companies' data keys, each wrapped by the master key. */
export interface KeyRing {
  /** The master key, as far as this process knows. */
  readonly master: SealingKey
  /** A new data key for a company that is about to be created, as it is stored. */
  newDataKey(companyId: string): Uint8Array
  /** Seals and opens what is a company's, also after a rotation of its key. @throws FrontdeskError `not_found` */
  sealerOf(companyId: string): Promise<Sealer>
  /** The same by the data keys of a row that is not committed yet. @throws FrontdeskError `master_key_wrong` */
  sealerFrom(companyId: string, dataKeys: WrappedDataKeys): Sealer
  /** Takes over what rotations in other processes have changed: from then on their new keys seal here, too. */
  refresh(): Promise<void>
}

export interface KeyRingOptions {
  /** Reads the master key anew, if it comes from where a rotation can replace it. */
  rereadMasterKey?: () => Promise<Uint8Array | undefined>
}

/**
 * Claims a new database for this master key and environment, or makes sure that it is theirs.
 * @throws FrontdeskError `master_key_wrong`, `database_environment_mismatch`
 */
export async function openKeyRing(
  database: Database,
  masterKey: Uint8Array,
  environment: Environment,
  options: KeyRingOptions = {},
): Promise<KeyRing> {
  await claimPlatform(database, masterKey, environment)
  const platform = await readPlatform(database.worker)
  const master = masterKeyFor(platform, masterKey)
  if (master === undefined) throw new FrontdeskError('master_key_wrong')
  if (platform.environment !== environment)
    throw new FrontdeskError('database_environment_mismatch', `It belongs to: ${platform.environment}.`)
  return new DatabaseKeyRing(database, master, platform.data_key_version, options)
}

class DatabaseKeyRing implements KeyRing {
  readonly #database: Database
  readonly #rereadMasterKey: KeyRingOptions['rereadMasterKey']
  readonly #sealers = new LRUCache<string, CompanySealer>({ max: MAX_CACHED_SEALERS })
  #master: SealingKey
  #version: number

  constructor(database: Database, master: SealingKey, version: number, { rereadMasterKey }: KeyRingOptions) {
    this.#database = database
    this.#master = master
    this.#version = version
    this.#rereadMasterKey = rereadMasterKey
  }

  get master(): SealingKey {
    return this.#master
  }

  newDataKey(companyId: string): Uint8Array {
    return wrapDataKeys(this.#master, companyId, [{ number: 1, key: randomBytes(SEALING_KEY_BYTES) }])
  }

  async sealerOf(companyId: string): Promise<Sealer> {
    const cached = this.#sealers.get(companyId)
    if (cached) return cached
    const version = this.#version
    const load = () => this.#load(companyId)
    const sealer = new CompanySealer(await load(), load)
    // One sealer for each company, so that all who use it learn of a rotation.
    const others = this.#sealers.get(companyId)
    if (others) return others
    this.#sealers.set(companyId, sealer)
    // A rotation can have come between.
    if (version !== this.#version) await sealer.reload()
    return sealer
  }

  sealerFrom(companyId: string, dataKeys: WrappedDataKeys): Sealer {
    const keys = unwrapDataKeys(this.#master, companyId, dataKeys)
    if (keys === undefined) throw new FrontdeskError('master_key_wrong')
    return new CompanySealer(keys.map(sealingKeyOf), () => this.#load(companyId))
  }

  async refresh(): Promise<void> {
    const platform = await readPlatform(this.#database.worker)
    if (masterKeyNumber(platform) !== this.#master.number) await this.#takeOverMasterKey()
    const known = this.#version
    if (platform.data_key_version === known) return
    // First, so that whoever loads a key meanwhile knows that it may be outdated.
    this.#version = platform.data_key_version
    try {
      const changed = await this.#database.worker
        .selectFrom('company')
        .select('id')
        .where('data_key_version', '>', known)
        .execute()
      for (const { id } of changed) await this.#sealers.peek(id)?.reload()
    } catch (error) {
      this.#version = known
      throw error
    }
  }

  async #load(companyId: string): Promise<SealingKey[]> {
    const company = await this.#database.worker
      .selectFrom('company')
      .select(['data_key', 'former_data_key'])
      .where('id', '=', companyId)
      .executeTakeFirst()
    if (!company) throw new FrontdeskError('not_found')
    let keys = unwrapDataKeys(this.#master, companyId, company)
    if (keys === undefined && (await this.#takeOverMasterKey())) keys = unwrapDataKeys(this.#master, companyId, company)
    if (keys === undefined)
      throw new FrontdeskError('master_key_wrong', 'It has been rotated since this process began.')
    return keys.map(sealingKeyOf)
  }

  /** True if the master key's new value is where this process has read the former one. */
  async #takeOverMasterKey(): Promise<boolean> {
    const masterKey = await this.#rereadMasterKey?.()
    const master = masterKey && masterKeyFor(await readPlatform(this.#database.worker), masterKey)
    if (master === undefined || master.number === this.#master.number) return false
    this.#master = master
    return true
  }
}
