import { type Kysely, sql } from 'kysely'
import type { SessionStatus } from '#src/model/session-state.ts'
import { storableJson } from '#src/model/storable-text.ts'
import type { Database } from './database.ts'
import { type Lease, LeaseLostError } from './leases.ts'
import type { DesiredState, Schema } from './schema-types.ts'
import { addedUptime } from './session-uptime.ts'
import { isUniqueViolation } from './unique-violation.ts'

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

/** A session's transition, by the lease under which its owner says so. */
export interface Transition {
  lease: Lease
  change: StateChange
}

/** How often this reason has been a session's in the last so many milliseconds. */
export async function countReason(
  companyId: string,
  db: Kysely<Schema>,
  { sessionId, reason, withinMs }: { sessionId: string; reason: SessionStatus['reason']; withinMs: number },
): Promise<number> {
  const { count } = await db
    .selectFrom('event')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('company_id', '=', companyId)
    .where('session_id', '=', sessionId)
    .where('type', '=', 'session.state_changed')
    .where('created_at', '>', new Date(Date.now() - withinMs))
    .where(sql<string>`data ->> 'reason'`, '=', reason)
    .executeTakeFirstOrThrow()
  return count
}

/**
 * Stores one transition of each of these sessions, the uptime up to it, and its event: one statement, since after a
 * restart thousands have one at the same time. Sessions whose lease has been taken over are passed over.
 * @returns the sessions whose transition is stored
 * @throws NumberTakenError if one of them has a number that another session has linked: then nothing is stored
 */
export async function storeTransitions(db: Kysely<Schema>, transitions: readonly Transition[]): Promise<Set<string>> {
  const of = <Value>(value: (transition: Transition) => Value) => transitions.map(value)
  try {
    const { rows } = await sql<{ session_id: string }>`
      with changed as (
        select change.*, coalesce(online_until, since) as counted_until from unnest(
          ${of(({ lease }) => lease.sessionId)}::uuid[], ${of(({ lease }) => lease.epoch)}::int8[],
          ${of(({ change }) => change.state)}::text[], ${of(({ change }) => change.reason)}::text[],
          ${of(({ change }) => change.since)}::timestamptz[], ${of(({ change }) => change.nextAttemptAt)}::timestamptz[],
          ${of(({ change }) => change.attempts)}::int4[], ${of(({ change }) => change.isLinked)}::boolean[],
          ${of(({ change }) => change.account?.phone ?? null)}::text[],
          ${of(({ change }) => change.account?.lid ?? null)}::text[],
          ${of(({ change }) => change.linkingCode?.sealed ?? null)}::bytea[],
          ${of(({ change }) => change.linkingCode?.expiresAt ?? null)}::timestamptz[],
          ${of(({ change }) => (change.isOver ? (change.fulfils ?? null) : null))}::text[],
          ${of(({ change }) => change.formerOwnerSeenAt ?? null)}::timestamptz[], ${of(({ change }) => dataOf(change))}::jsonb[]
        ) as change (session_id, epoch, state, reason, since, next_attempt_at, attempts, is_linked, phone, lid,
          linking_code, linking_code_expires_at, fulfils, online_until, data)
      ), held as materialized (
        select changed.*, lease.company_id from changed
        join session_lease lease on lease.session_id = changed.session_id and lease.epoch = changed.epoch
        for share of lease
      ), counted as (${addedUptime(sql`held`)}), announced as (
        insert into event (company_id, type, session_id, subject_id, data)
        select company_id, 'session.state_changed', session_id, session_id, data from held
      )
      update session set
        state = held.state,
        reason = held.reason,
        state_since = held.since,
        next_attempt_at = held.next_attempt_at,
        attempts = held.attempts,
        linked_at = case when held.is_linked then coalesce(linked_at, held.since) end,
        linking_code = held.linking_code,
        linking_code_expires_at = held.linking_code_expires_at,
        -- What the company has asked for meanwhile, such as deleting it or a fresh code, is not forgotten.
        desired = case when desired = held.fulfils and not exists (
            select from session_command where session_command.session_id = session.id and session_command.state = 'waiting'
          ) then 'stopped' else desired end,
        phone = coalesce(held.phone, session.phone),
        lid = case when held.phone is null then session.lid else held.lid end
      from held where session.id = held.session_id
      returning session.id as session_id`.execute(db)
    return new Set(rows.map(({ session_id: sessionId }) => sessionId))
  } catch (error) {
    throw isUniqueViolation(error, 'session_phone') ? new NumberTakenError() : error
  }
}

const dataOf = ({ state, reason, nextAttemptAt, attempts }: StateChange): string =>
  storableJson({ state, reason, nextAttemptAt: nextAttemptAt?.toISOString() ?? null, attempt: attempts })

/**
 * Stores the transition with which a session is over, and removes what it keeps no longer: one that is not linked keeps
 * no key, the next start links anew; one that is deleted keeps no secret at all.
 * @throws LeaseLostError
 */
export async function storeLastTransition(database: Database, { lease, change }: Transition): Promise<void> {
  const { sessionId, companyId } = lease
  await database.worker.transaction().execute(async (db) => {
    // A request that is being stored is waited for, so that the next statement sees what it asks for.
    await sql`select from session where id = ${sessionId} for no key update`.execute(db)
    const stored = await storeTransitions(db, [{ lease, change }])
    if (!stored.has(sessionId)) throw new LeaseLostError(lease)
    if (!change.isLinked) await removeKeys(db, sessionId, change.state === 'logged_out' ? change.since : undefined)
    if (change.reason === 'deleted') await deleteSession(companyId, db, sessionId, change.since)
  })
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
async function deleteSession(companyId: string, db: Kysely<Schema>, sessionId: string, at: Date): Promise<void> {
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
