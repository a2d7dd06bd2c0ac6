import { type Kysely, type Selectable, sql } from 'kysely'
import { DatabaseError } from 'pg'
import { FrontdeskError } from '#src/model/errors.ts'
import type { SessionStatus } from '#src/model/session-state.ts'
import { appendEvents } from './events.ts'
import type { DesiredState, Schema } from './schema-types.ts'

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

/** Says what the company wants of the session. Undefined if there is no such session. */
export const setDesired = (
  companyId: string,
  db: Kysely<Schema>,
  sessionId: string,
  desired: DesiredState,
): Promise<SessionRow | undefined> =>
  db
    .updateTable('session')
    .set({ desired })
    .where('company_id', '=', companyId)
    .where('id', '=', sessionId)
    .where('deleted_at', 'is', null)
    .returningAll()
    .executeTakeFirst()

/** For a session host: whatever company it is of, and deleted ones too. */
export const readSession = (db: Kysely<Schema>, sessionId: string): Promise<SessionRow | undefined> =>
  db.selectFrom('session').selectAll().where('id', '=', sessionId).executeTakeFirst()

/** Of all companies: what a session host takes up at its start. */
export const listWantedSessions = (db: Kysely<Schema>): Promise<SessionRow[]> =>
  db.selectFrom('session').selectAll().where('desired', '=', 'running').orderBy('id').execute()

/** A transition, as it is stored. */
export interface StateChange extends SessionStatus {
  /** When it became so. */
  since: Date
  /** The linked number, when it has become known. */
  account?: { phone: string; lid: string | null }
  /** What is to be scanned or typed now, sealed. Gone in every state that shows none. */
  linkingCode?: StoredLinkingCode
}

/** A code as it is stored. */
export interface StoredLinkingCode {
  sealed: Uint8Array
  expiresAt: Date
}

/**
 * Stores a transition and its event. What is over and not linked keeps no key: the next start links anew. A part of the
 * owner's fenced transaction.
 */
export async function changeSessionState(
  companyId: string,
  db: Kysely<Schema>,
  sessionId: string,
  { state, reason, isLinked, isOver, since, account, linkingCode }: StateChange,
): Promise<void> {
  await db
    .updateTable('session')
    .set({
      state,
      reason,
      state_since: since,
      linked_at: isLinked ? sql<Date>`coalesce(linked_at, ${since})` : null,
      linking_code: linkingCode?.sealed ?? null,
      linking_code_expires_at: linkingCode?.expiresAt ?? null,
      // What the company has asked for meanwhile, such as deleting it, is not forgotten.
      ...(isOver && { desired: sql<DesiredState>`case desired when 'running' then 'stopped' else desired end` }),
      ...account,
    })
    .where('company_id', '=', companyId)
    .where('id', '=', sessionId)
    .execute()
  if (isOver && !isLinked) await db.deleteFrom('signal_key').where('session_id', '=', sessionId).execute()
  const data = { state, reason }
  await appendEvents(db, [{ companyId, type: 'session.state_changed', sessionId, subjectId: sessionId, data }])
}

/** The next code of a linking that goes on. A part of the owner's fenced transaction. */
export async function changeLinkingCode(
  companyId: string,
  db: Kysely<Schema>,
  sessionId: string,
  { sealed, expiresAt }: StoredLinkingCode,
): Promise<void> {
  await db
    .updateTable('session')
    .set({ linking_code: sealed, linking_code_expires_at: expiresAt })
    .where('company_id', '=', companyId)
    .where('id', '=', sessionId)
    .execute()
}
