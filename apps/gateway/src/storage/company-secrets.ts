import type { Kysely, Selectable } from 'kysely'
import type { Schema } from './schema-types.ts'

export type CompanySecretRow = Selectable<Schema['company_secret']>

export const findSecret = (
  companyId: string,
  db: Kysely<Schema>,
  name: string,
): Promise<Pick<CompanySecretRow, 'value'> | undefined> =>
  db
    .selectFrom('company_secret')
    .select('value')
    .where('company_id', '=', companyId)
    .where('name', '=', name)
    .executeTakeFirst()
