import { randomBytes } from 'node:crypto'
import { type Kysely, sql, type Transaction } from 'kysely'
import { FrontdeskError } from '#src/model/errors.ts'
import { createSealingKey, SEALING_KEY_BYTES, type SealingKey } from '#src/model/sealing.ts'
import { type DataKey, unwrapDataKeys, type WrappedDataKeys, wrapDataKeys } from './data-keys.ts'
import type { Database } from './database.ts'
import { masterKeyCheck, masterKeyFor, masterKeyNumber, type PlatformRow } from './platform.ts'
import type { Schema } from './schema-types.ts'

const COMPANIES_AT_ONCE = 500

/** A company that has older data keys beside its current one. */
export interface RotatingCompany {
  id: string
  /** The number of its current key. */
  keyNumber: number
  /** How long that had been the current one when this was read, by the database's clock. */
  ageMs: number
  /** `resealed`: nothing was found any more that an older key has sealed. */
  state: 'resealing' | 'resealed'
}

/** Oldest company first. */
export async function listRotatingCompanies(db: Kysely<Schema>, companyId?: string): Promise<RotatingCompany[]> {
  const rows = await db
    .selectFrom('company')
    .select(['id', 'data_key_number as keyNumber', 'data_key_rotation as state'])
    .select(sql<number>`(extract(epoch from clock_timestamp() - data_key_since) * 1000)::float8`.as('ageMs'))
    .where('data_key_rotation', '!=', 'none')
    .$if(companyId !== undefined, (query) => query.where('id', '=', companyId ?? ''))
    .orderBy('id')
    .execute()
  return rows.flatMap(({ state, ...row }) => (state === 'none' ? [] : [{ ...row, state }]))
}

/**
 * Gives the company, or all, a new data key beside the older ones, in one transaction. From then on it seals in every
 * process as soon as that has looked. Returns for how many.
 * @throws FrontdeskError `not_found`; `key_rotation_unfinished` while a former master key is accepted; `master_key_wrong`
 */
export function addDataKeys(database: Database, master: SealingKey, companyId?: string): Promise<number> {
  return database.worker.transaction().execute(async (db) => {
    requireCurrent(await lockPlatform(db), master)
    const version = await nextVersion(db)
    let count = 0
    for await (const companies of lockCompanies(db, companyId)) {
      const changed = companies.map((company) => {
        const keys = keysOf(master, company)
        const number = (keys.at(-1)?.number ?? 0) + 1
        const all = [...keys, { number, key: randomBytes(SEALING_KEY_BYTES) }]
        return { id: company.id, wrapped: wrapDataKeys(master, company.id, all), number }
      })
      await sql`
        update company set data_key = fresh.wrapped, data_key_number = fresh.number, data_key_since = clock_timestamp(),
          data_key_version = ${version}, data_key_rotation = 'resealing'
        from unnest(${changed.map(({ id }) => id)}::uuid[], ${changed.map(({ wrapped }) => wrapped)}::bytea[],
          ${changed.map(({ number }) => number)}::int4[]) as fresh (id, wrapped, number)
        where company.id = fresh.id`.execute(db)
      count += changed.length
    }
    if (companyId !== undefined && count === 0) throw new FrontdeskError('not_found')
    return count
  })
}

/** Notes that nothing was found that an older key than this has sealed. */
export async function markResealed(db: Kysely<Schema>, { id, keyNumber }: RotatingCompany): Promise<void> {
  await db
    .updateTable('company')
    .set({ data_key_rotation: 'resealed' })
    .where('id', '=', id)
    .where('data_key_number', '=', keyNumber)
    .execute()
}

/**
 * Forgets the company's older data keys: what they have sealed is lost from then on, so nothing may be left.
 * @throws FrontdeskError `key_rotation_unfinished` while a former master key is accepted; `master_key_wrong`
 */
export function dropFormerDataKeys(
  database: Database,
  master: SealingKey,
  { id, keyNumber }: RotatingCompany,
): Promise<void> {
  return database.worker.transaction().execute(async (db) => {
    requireCurrent(await lockPlatform(db), master)
    for await (const companies of lockCompanies(db, id)) {
      for (const company of companies) {
        const current = keysOf(master, company).filter(({ number }) => number === keyNumber)
        // Rotated again meanwhile: that rotation will come to it.
        if (company.data_key_number !== keyNumber) return
        await db
          .updateTable('company')
          .set({
            data_key: wrapDataKeys(master, id, current),
            data_key_version: await nextVersion(db),
            data_key_rotation: 'none',
          })
          .where('id', '=', id)
          .execute()
      }
    }
  })
}

/**
 * Wraps all data keys by a new master key, in one transaction. The former one is accepted as well until it is dropped.
 * Does nothing if the new one is the database's already. Returns the number of the former one.
 * @throws FrontdeskError `key_rotation_unfinished` while an earlier one is accepted; `master_key_wrong`
 */
export function replaceMasterKey(database: Database, masterKey: Uint8Array, newMasterKey: Uint8Array): Promise<number> {
  return database.worker.transaction().execute(async (db) => {
    const before = await lockPlatform(db)
    if (masterKeyFor(before, newMasterKey)?.number === masterKeyNumber(before)) return masterKeyNumber(before) - 1
    const master = masterKeyFor(before, masterKey)
    requireCurrent(before, master)
    const next = createSealingKey(newMasterKey, master.number + 1)
    // First, because a data key has to be wrapped by the key that the platform names.
    await db
      .updateTable('platform')
      .set({
        master_key_check: masterKeyCheck(next),
        former_master_key_check: before.master_key_check,
        master_key_since: sql<Date>`clock_timestamp()`,
      })
      .execute()
    for await (const companies of lockCompanies(db)) {
      const wrapped = companies.map((company) => wrapDataKeys(next, company.id, keysOf(master, company)))
      await sql`
        update company set data_key = fresh.wrapped, former_data_key = data_key
        from unnest(${companies.map(({ id }) => id)}::uuid[], ${wrapped}::bytea[]) as fresh (id, wrapped)
        where company.id = fresh.id`.execute(db)
    }
    return master.number
  })
}

/** How long the current master key had been so when this was read; endless if no former one is accepted. */
export async function formerMasterKeyAgeMs(db: Kysely<Schema>): Promise<number> {
  const platform = await db
    .selectFrom('platform')
    .select(sql<number>`(extract(epoch from clock_timestamp() - master_key_since) * 1000)::float8`.as('ageMs'))
    .where('former_master_key_check', 'is not', null)
    .executeTakeFirst()
  return platform?.ageMs ?? Number.POSITIVE_INFINITY
}

/**
 * From then on only the current master key opens the database. False if this is not the current one: its deployment
 * would not start any more.
 */
export async function dropFormerMasterKey({ worker }: Database, master: SealingKey): Promise<boolean> {
  return await worker.transaction().execute(async (db) => {
    if (masterKeyNumber(await lockPlatform(db)) !== master.number) return false
    await db.updateTable('platform').set({ former_master_key_check: null }).execute()
    await db.updateTable('company').set({ former_data_key: null }).where('former_data_key', 'is not', null).execute()
    return true
  })
}

const lockPlatform = (db: Transaction<Schema>): Promise<PlatformRow> =>
  db.selectFrom('platform').selectAll().forUpdate().executeTakeFirstOrThrow()

/** @throws FrontdeskError `key_rotation_unfinished`, `master_key_wrong` */
function requireCurrent(platform: PlatformRow, master: SealingKey | undefined): asserts master {
  if (master?.number !== masterKeyNumber(platform)) throw new FrontdeskError('master_key_wrong')
  if (platform.former_master_key_check !== null) throw new FrontdeskError('key_rotation_unfinished')
}

async function nextVersion(db: Transaction<Schema>): Promise<number> {
  const { data_key_version } = await db
    .updateTable('platform')
    .set({ data_key_version: sql<number>`data_key_version + 1` })
    .returning('data_key_version')
    .executeTakeFirstOrThrow()
  return data_key_version
}

/** A page after the other, kept from other changes until the transaction ends. */
async function* lockCompanies(db: Transaction<Schema>, companyId?: string) {
  for (let after: string | undefined; ; ) {
    const companies = await db
      .selectFrom('company')
      .select(['id', 'data_key', 'former_data_key', 'data_key_number'])
      .$if(companyId !== undefined, (query) => query.where('id', '=', companyId ?? ''))
      .$if(after !== undefined, (query) => query.where('id', '>', after ?? ''))
      .orderBy('id')
      .limit(COMPANIES_AT_ONCE)
      .forUpdate()
      .execute()
    if (companies.length > 0) yield companies
    if (companies.length < COMPANIES_AT_ONCE) return
    after = companies.at(-1)?.id
  }
}

function keysOf(master: SealingKey, company: { id: string } & WrappedDataKeys): DataKey[] {
  const keys = unwrapDataKeys(master, company.id, company)
  if (keys === undefined) throw new FrontdeskError('master_key_wrong')
  return keys
}
