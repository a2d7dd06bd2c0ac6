import { type Kysely, type Selectable, sql } from 'kysely'
import { DatabaseError } from 'pg'
import { FrontdeskError } from '#src/model/errors.ts'
import type { SessionStatus } from '#src/model/session-state.ts'
import { appendEvents } from './events.ts'
import type { Schema } from './schema-types.ts'

export type SessionRow = Selectable<Schema['session']>

const UNIQUE_VIOLATION = '23505'

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
    if (error instanceof DatabaseError && error.code === UNIQUE_VIOLATION)
      throw new FrontdeskError('session_name_taken')
    throw error
  }
}

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
    .executeTakeFirst()

/** Oldest first. */
export const listSessions = (companyId: string, db: Kysely<Schema>): Promise<SessionRow[]> =>
  db.selectFrom('session').selectAll().where('company_id', '=', companyId).orderBy('id').execute()

/** Of all companies: what a session host takes up at its start. */
export const listWantedSessions = (db: Kysely<Schema>): Promise<SessionRow[]> =>
  db.selectFrom('session').selectAll().where('is_wanted', '=', true).orderBy('id').execute()

/** Says whether the company wants the session to run. Undefined if there is no such session. */
export const setSessionWanted = (
  companyId: string,
  db: Kysely<Schema>,
  sessionId: string,
  isWanted: boolean,
): Promise<SessionRow | undefined> =>
  db
    .updateTable('session')
    .set({ is_wanted: isWanted })
    .where('company_id', '=', companyId)
    .where('id', '=', sessionId)
    .returningAll()
    .executeTakeFirst()

/** A transition, as it is stored. */
export interface StateChange extends SessionStatus {
  /** When it became so. */
  since: Date
  /** The linked number, when it has become known. */
  account?: { phone: string; lid: string | null }
}

/**
 * Stores a transition and its event. What is over and not linked keeps no key: the next start links anew. A part of the
 * owner's fenced transaction.
 */
export async function changeSessionState(
  companyId: string,
  db: Kysely<Schema>,
  sessionId: string,
  { state, reason, isLinked, isOver, since, account }: StateChange,
): Promise<void> {
  await db
    .updateTable('session')
    .set({
      state,
      reason,
      state_since: since,
      linked_at: isLinked ? sql<Date>`coalesce(linked_at, ${since})` : null,
      ...(isOver && { is_wanted: false }),
      ...account,
    })
    .where('company_id', '=', companyId)
    .where('id', '=', sessionId)
    .execute()
  if (isOver && !isLinked) await db.deleteFrom('signal_key').where('session_id', '=', sessionId).execute()
  const data = { state, reason }
  await appendEvents(db, [{ companyId, type: 'session.state_changed', sessionId, subjectId: sessionId, data }])
}
