import type { CompanySettings } from '@frontdesk/api-contract'
import type { Kysely, Selectable } from 'kysely'
import { storableJson } from '#src/model/storable-text.ts'
import type { Schema } from './schema-types.ts'

const VISIBLE = ['id', 'name', 'settings', 'created_at'] as const

/** A company without its wrapped data key. */
export type CompanyRow = Pick<Selectable<Schema['company']>, (typeof VISIBLE)[number]>

export interface NewCompany {
  id: string
  name: string
  settings: CompanySettings
  /** As the key ring has wrapped it. */
  dataKey: Uint8Array
}

export const insertCompany = (db: Kysely<Schema>, { id, name, settings, dataKey }: NewCompany): Promise<CompanyRow> =>
  db
    .insertInto('company')
    .values({ id, name, settings: storableJson(settings), data_key: dataKey })
    .returning(VISIBLE)
    .executeTakeFirstOrThrow()

export const findCompany = (companyId: string, db: Kysely<Schema>): Promise<CompanyRow | undefined> =>
  db.selectFrom('company').select(VISIBLE).where('id', '=', companyId).executeTakeFirst()

/** The company, kept from other changes until the transaction ends. */
export const lockCompany = (companyId: string, db: Kysely<Schema>): Promise<CompanyRow | undefined> =>
  db.selectFrom('company').select(VISIBLE).where('id', '=', companyId).forUpdate().executeTakeFirst()

/** The company's settings as they were stored. */
export async function readCompanySettings(companyId: string, db: Kysely<Schema>): Promise<Record<string, unknown>> {
  const row = await db.selectFrom('company').select('settings').where('id', '=', companyId).executeTakeFirst()
  return row?.settings ?? {}
}

/** Oldest first; `after` is the last id of the page before. */
export const listCompanies = (db: Kysely<Schema>, limit: number, after?: string): Promise<CompanyRow[]> =>
  db
    .selectFrom('company')
    .select(VISIBLE)
    .$if(after !== undefined, (query) => query.where('id', '>', after ?? ''))
    .orderBy('id')
    .limit(limit)
    .execute()

export const updateCompany = (
  companyId: string,
  db: Kysely<Schema>,
  { name, settings }: { name: string; settings: CompanySettings },
): Promise<CompanyRow> =>
  db
    .updateTable('company')
    .set({ name, settings: storableJson(settings) })
    .where('id', '=', companyId)
    .returning(VISIBLE)
    .executeTakeFirstOrThrow()
