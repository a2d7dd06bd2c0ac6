import { type Kysely, type Selectable, sql } from 'kysely'
import type { Schema } from './schema-types.ts'

/** What may be shown of a secret. */
export type CompanySecretRow = Pick<Selectable<Schema['company_secret']>, 'name' | 'hint' | 'updated_at'>

const VISIBLE = ['name', 'hint', 'updated_at'] as const

/** The sealed value. */
export const findSecret = async (
  companyId: string,
  db: Kysely<Schema>,
  name: string,
): Promise<Uint8Array | undefined> => {
  const row = await db
    .selectFrom('company_secret')
    .select('value')
    .where('company_id', '=', companyId)
    .where('name', '=', name)
    .executeTakeFirst()
  return row?.value
}

/** By name. */
export const listSecrets = (companyId: string, db: Kysely<Schema>): Promise<CompanySecretRow[]> =>
  db.selectFrom('company_secret').select(VISIBLE).where('company_id', '=', companyId).orderBy('name').execute()

/** In place of the one of the same name. Undefined when the company has as many others as it may have. */
export async function putSecret(
  companyId: string,
  db: Kysely<Schema>,
  { name, value, hint }: { name: string; value: Uint8Array; hint: string },
  most: number,
): Promise<CompanySecretRow | undefined> {
  await sql`select pg_advisory_xact_lock(hashtextextended('secrets of ' || ${companyId}, 0))`.execute(db)
  const others = (await listSecrets(companyId, db)).filter((each) => each.name !== name)
  if (others.length >= most) return undefined
  return await db
    .insertInto('company_secret')
    .values({ company_id: companyId, name, value, hint })
    .onConflict((conflict) =>
      conflict.columns(['company_id', 'name']).doUpdateSet({ value, hint, updated_at: sql<Date>`now()` }),
    )
    .returning(VISIBLE)
    .executeTakeFirstOrThrow()
}

/** False when there was none. */
export async function deleteSecret(companyId: string, db: Kysely<Schema>, name: string): Promise<boolean> {
  const { numDeletedRows } = await db
    .deleteFrom('company_secret')
    .where('company_id', '=', companyId)
    .where('name', '=', name)
    .executeTakeFirst()
  return numDeletedRows > 0n
}
