import { type Kysely, sql } from 'kysely'
import { DatabaseError } from 'pg'
import type { SessionStatus } from '#src/model/session-state.ts'
import { appendEvents } from './events.ts'
import type { DesiredState, Schema } from './schema-types.ts'
import { addUptime } from './session-uptime.ts'

/** A transition, as it is stored. */
export interface StateChange extends SessionStatus {
  /** When it became so. */
  since: Date
  /** Attempts since the last good connection. */
  attempts: number
  /** The linked number, when it has become known. */
  account?: { phone: string; lid: string | null }
  /** What is to be scanned or typed now, sealed. Gone in every state that shows none. */
  linkingCode?: StoredLinkingCode
  /** The wish that is settled when the session is over by this. */
  fulfils?: DesiredState
  /** When the former owner was last seen, if it died: until then the session may have been online, not later. */
  formerOwnerSeenAt?: Date
}

/** A code as it is stored. */
export interface StoredLinkingCode {
  sealed: Uint8Array
  expiresAt: Date
}

/** Another session is linked to the number already. */
export class NumberTakenError extends Error {
  constructor() {
    super('another session is linked to this number')
    this.name = 'NumberTakenError'
  }
}

const UNIQUE_VIOLATION = '23505'

/**
 * Stores a transition, the uptime up to it, and its event. What is over and not linked keeps no key: the next start links
 * anew. A part of the owner's fenced transaction.
 * @throws NumberTakenError
 */
export async function changeSessionState(
  companyId: string,
  db: Kysely<Schema>,
  sessionId: string,
  change: StateChange,
): Promise<void> {
  const { state, reason, isLinked, isOver, since, nextAttemptAt, attempts, account, linkingCode, fulfils } = change
  await addUptime(companyId, db, sessionId, { until: since, onlineUntil: change.formerOwnerSeenAt ?? since })
  try {
    await db
      .updateTable('session')
      .set({
        state,
        reason,
        state_since: since,
        next_attempt_at: nextAttemptAt,
        attempts,
        linked_at: isLinked ? sql<Date>`coalesce(linked_at, ${since})` : null,
        linking_code: linkingCode?.sealed ?? null,
        linking_code_expires_at: linkingCode?.expiresAt ?? null,
        // What the company has asked for meanwhile, such as deleting it, is not forgotten.
        ...(isOver &&
          fulfils && { desired: sql<DesiredState>`case desired when ${fulfils} then 'stopped' else desired end` }),
        ...account,
      })
      .where('company_id', '=', companyId)
      .where('id', '=', sessionId)
      .execute()
  } catch (error) {
    const isTaken =
      error instanceof DatabaseError && error.code === UNIQUE_VIOLATION && error.constraint === 'session_phone'
    throw isTaken ? new NumberTakenError() : error
  }
  if (isOver && !isLinked) await removeKeys(db, sessionId, state === 'logged_out' ? since : undefined)
  const data = { state, reason, nextAttemptAt: nextAttemptAt?.toISOString() ?? null, attempt: attempts }
  await appendEvents(db, [{ companyId, type: 'session.state_changed', sessionId, subjectId: sessionId, data }])
}

/** The keys are gone; put aside for a while if `retiredAt` is given. */
async function removeKeys(db: Kysely<Schema>, sessionId: string, retiredAt: Date | undefined): Promise<void> {
  if (retiredAt === undefined) {
    await db.deleteFrom('signal_key').where('session_id', '=', sessionId).execute()
    return
  }
  await sql`
    with gone as (
      delete from signal_key where session_id = ${sessionId} returning session_id, kind, id, value
    )
    insert into retired_signal_key (session_id, kind, id, value, retired_at)
    select session_id, kind, id, value, ${retiredAt} from gone
    on conflict (session_id, kind, id) do update set value = excluded.value, retired_at = excluded.retired_at`.execute(
    db,
  )
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

/**
 * Removes what a deleted session keeps no longer: everything secret. Its messages, contacts and events stay; what waits
 * to be sent never will be. After its last transition, and a part of the same transaction; nobody owns it any more.
 */
export async function deleteSession(companyId: string, db: Kysely<Schema>, sessionId: string, at: Date): Promise<void> {
  await db
    .updateTable('session')
    .set({ deleted_at: at, proxy: null, linking_phone: null })
    .where('company_id', '=', companyId)
    .where('id', '=', sessionId)
    .execute()
  for (const table of ['signal_key', 'retired_signal_key', 'journal', 'sent_plaintext'] as const)
    await db.deleteFrom(table).where('session_id', '=', sessionId).execute()
  await sql`
    with failed as (
      update message set status = 'failed', error_code = 'session_deleted', next_attempt_at = null
      where company_id = ${companyId} and session_id = ${sessionId} and status = 'queued'
      returning id
    )
    insert into event (company_id, type, session_id, subject_id, data)
    select ${companyId}, 'message.status_changed', ${sessionId}, id,
      jsonb_build_object('status', 'failed', 'code', 'session_deleted')
    from failed order by id`.execute(db)
  // Whatever still works for the session, such as an answer under way, is refused from now on.
  await db.deleteFrom('session_lease').where('session_id', '=', sessionId).execute()
}
