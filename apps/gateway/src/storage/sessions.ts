import type { Kysely, Selectable } from 'kysely'
import { FrontdeskError } from '#src/model/errors.ts'
import type { Schema } from './schema-types.ts'
import { isUniqueViolation } from './unique-violation.ts'

export type SessionRow = Selectable<Schema['session']>

/** @throws FrontdeskError `session_name_taken` */
export async function insertSession(
  companyId: string,
  db: Kysely<Schema>,
  { id, name, provider }: Pick<SessionRow, 'id' | 'name' | 'provider'>,
): Promise<SessionRow> {
  try {
    return await db
      .insertInto('session')
      .values({ id, company_id: companyId, name, provider })
      .returningAll()
      .executeTakeFirstOrThrow()
  } catch (error) {
    if (isUniqueViolation(error)) throw new FrontdeskError('session_name_taken')
    throw error
  }
}

/** Undefined also for one that is deleted. */
export const findSession = (
  companyId: string,
  db: Kysely<Schema>,
  sessionId: string,
): Promise<SessionRow | undefined> =>
  db
    .selectFrom('session')
    .selectAll()
    .where('company_id', '=', companyId)
    .where('id', '=', sessionId)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()

/** Oldest first, without those that are deleted. */
export const listSessions = (companyId: string, db: Kysely<Schema>): Promise<SessionRow[]> =>
  db
    .selectFrom('session')
    .selectAll()
    .where('company_id', '=', companyId)
    .where('deleted_at', 'is', null)
    .orderBy('id')
    .execute()

/** For a session host: whatever company it is of, and deleted ones too. */
export const readSession = (db: Kysely<Schema>, sessionId: string): Promise<SessionRow | undefined> =>
  db.selectFrom('session').selectAll().where('id', '=', sessionId).executeTakeFirst()
