import type { OutgoingContent, WaitReason } from '@frontdesk/api-contract'
import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { ErrorCode } from '#src/model/errors.ts'
import type { QueuedMessage } from '#src/model/queued-message.ts'
import type { WhatsAppAddress } from '#src/model/whatsapp-address.ts'
import { newestAlias } from './newest-alias.ts'
import type { Schema } from './schema-types.ts'

/** When a message may be sent: what is scheduled from `now` on, everything else a little earlier, from `soon` on. */
interface Due {
  now: Date
  soon: Date
}

const isHeldBack = (row: string, { now, soon }: Due) =>
  sql`${sql.ref(`${row}.next_attempt_at`)} > ${soon} and coalesce(${sql.ref(`${row}.send_at`)} <= ${now}, true)`

/**
 * Messages of the session that may be sent, in the order of acceptance, without those named. A chat in which an earlier
 * message has to wait waits with it, unless that one is only scheduled.
 */
export async function readQueuedMessages(
  db: Kysely<Schema>,
  { sessionId, except, limit, due }: { sessionId: string; except: readonly string[]; limit: number; due: Due },
): Promise<QueuedMessage[]> {
  const { rows } = await sql<{
    id: string
    contact_id: string
    whatsapp_id: string
    content: OutgoingContent
    attempts: number
    next_attempt_at: Date | null
    wait_reason: WaitReason | null
    send_at: Date | null
    typing_ms: number | null
    expires_at: Date | null
    is_answer: boolean
    phone: string | null
    lid: string | null
  }>`
    select message.id, canonical.id as contact_id, whatsapp_id, content, attempts, next_attempt_at, wait_reason, send_at,
      typing_ms, expires_at, origin = 'responder' as is_answer,
      ${newestAlias('phone', sql`canonical.id`)} as phone, ${newestAlias('lid', sql`canonical.id`)} as lid
    from message
    join contact on contact.id = message.contact_id
    join contact canonical on canonical.id = coalesce(contact.merged_into, contact.id)
    where session_id = ${sessionId} and status = 'queued'
      and message.id <> all (${[...except]}::uuid[])
      and coalesce(send_at <= ${due.now}, true) and coalesce(next_attempt_at <= ${due.soon}, true)
      and not exists (
        select from message earlier
        where earlier.session_id = message.session_id and earlier.status = 'queued'
          and earlier.contact_id = message.contact_id and earlier.id < message.id and ${isHeldBack('earlier', due)})
    order by message.id limit ${limit}`.execute(db)
  return rows.map((row) => ({
    id: row.id,
    contactId: row.contact_id,
    whatsappId: row.whatsapp_id,
    to: addressOf(row),
    content: row.content,
    typingMs: row.typing_ms,
    attempts: row.attempts,
    nextAttemptAt: row.next_attempt_at,
    waitReason: row.wait_reason,
    sendAt: row.send_at,
    expiresAt: row.expires_at,
    isAnswer: row.is_answer,
  }))
}

/** Of the session's messages that `readQueuedMessages` leaves out: when the first is due, and whether chats wait for any. */
export async function readHeldBack(
  db: Kysely<Schema>,
  { sessionId, due }: { sessionId: string; due: Due },
): Promise<{ dueAt: Date | null; holdsChats: boolean }> {
  const { rows } = await sql<{ dueAt: Date | null; holdsChats: boolean | null }>`
    select min(next_attempt_at) as "dueAt", bool_or(${isHeldBack('message', due)}) as "holdsChats"
    from message
    where session_id = ${sessionId} and status = 'queued' and next_attempt_at is not null
      and (send_at > ${due.now} or next_attempt_at > ${due.soon})`.execute(db)
  return { dueAt: rows[0]?.dueAt ?? null, holdsChats: rows[0]?.holdsChats ?? false }
}

/**
 * Messages accepted between these moments that have not been sent, of all sessions, the newest first. The moments are
 * those of the ids, which are UUID v7.
 */
export async function readUnsentSince(
  db: Kysely<Schema>,
  { fromMs, untilMs, limit }: { fromMs: number; untilMs: number; limit: number },
): Promise<{ id: string; sessionId: string }[]> {
  const rows = await db
    .selectFrom('message')
    .select(['id', 'session_id'])
    .where('id', '>=', earliestId(fromMs))
    .where('id', '<', earliestId(untilMs))
    .where('status', '=', 'queued')
    .where((row) => row.or([row('next_attempt_at', 'is', null), row('next_attempt_at', '<=', new Date())]))
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
  return rows.map(({ id, session_id }) => ({ id, sessionId: session_id }))
}

/** The smallest UUID v7 of a moment: its first 48 bits are the milliseconds. */
function earliestId(ms: number): string {
  const hex = Math.trunc(ms).toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`
}

/** Notes when the next attempt may be made, and why not earlier. */
export async function deferMessage(
  companyId: string,
  db: Kysely<Schema>,
  {
    messageId,
    attempts,
    nextAttemptAt,
    waitReason,
  }: { messageId: string; attempts: number; nextAttemptAt: Date; waitReason: WaitReason },
): Promise<void> {
  await db
    .updateTable('message')
    .set({ attempts, next_attempt_at: nextAttemptAt, wait_reason: waitReason })
    .where('company_id', '=', companyId)
    .where('id', '=', messageId)
    .where('status', '=', 'queued')
    .execute()
}

/** Ends the waiting of a message that is about to be sent. False if it is not queued any more: then it must not be sent. */
export async function endWaiting(companyId: string, db: Kysely<Schema>, messageId: string): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('message')
    .set({ next_attempt_at: null, wait_reason: null })
    .where('company_id', '=', companyId)
    .where('id', '=', messageId)
    .where('status', '=', 'queued')
    .executeTakeFirstOrThrow()
  return numUpdatedRows > 0n
}

/**
 * Cancels a message that waits for its time, or whose session is not online, with the event. What is neither may be on
 * its way this moment.
 */
export async function cancelMessage(
  companyId: string,
  db: Kysely<Schema>,
  messageId: string,
): Promise<'cancelled' | 'not_waiting' | 'unknown'> {
  const { rows } = await sql<{ is_cancelled: boolean }>`
    with place as materialized (
      select session.state = 'online' as is_online from message join session on session.id = message.session_id
      where message.company_id = ${companyId} and message.id = ${messageId}
      -- A session that comes online sends when that is stored: it waits until this is, or is found online.
      for share of session
    ), cancelled as (
      ${failing(
        sql`
        company_id = ${companyId} and id = ${messageId}
          and (next_attempt_at is not null or not (select is_online from place))`,
        'cancelled',
      )}
    ), announced as (${announceFailed('cancelled')})
    select exists (select from cancelled) as is_cancelled from place`.execute(db)
  if (rows[0] === undefined) return 'unknown'
  return rows[0].is_cancelled ? 'cancelled' : 'not_waiting'
}

/** Ends all messages whose time is over, with their events, of whatever session. At most `limit`; how many it was. */
export async function failExpired(db: Kysely<Schema>, { now, limit }: { now: Date; limit: number }): Promise<number> {
  const { rows } = await sql`
    with expired as (
      ${failing(
        // As an array, or all that is queued is held against what has expired.
        sql`id = any (array(
          select id from message where status = 'queued' and expires_at <= ${now}
          order by expires_at limit ${limit} for update skip locked))`,
        'expired',
      )}
    ), announced as (${announceFailed('expired')})
    select from expired`.execute(db)
  return rows.length
}

/** Ends all messages that wait for this contact, with their events. */
export async function failForOptOut(db: Kysely<Schema>, contactId: string): Promise<void> {
  await sql`
    with stopped as (
      ${failing(sql`contact_id = ${contactId}`, 'contact_opted_out')}
    )
    ${announceFailed('stopped', 'contact_opted_out')}`.execute(db)
}

const failing = (condition: RawBuilder<unknown>, errorCode: ErrorCode) => sql`
  update message set status = 'failed', error_code = ${errorCode}, next_attempt_at = null, wait_reason = null
  where status = 'queued' and ${condition}
  returning id, company_id, session_id`

/** Of the rows of a common table of this name. */
const announceFailed = (table: string, errorCode: string = table) => sql`
  insert into event (company_id, type, session_id, subject_id, data)
  select company_id, 'message.status_changed', session_id, id,
    jsonb_build_object('status', 'failed', 'code', ${errorCode}::text)
  from ${sql.table(table)} order by id`

/** Ends the sending of a message, with the event. Does nothing to one that has come further meanwhile. */
export async function failMessage(
  companyId: string,
  db: Kysely<Schema>,
  { messageId, errorCode, whatsappCode }: { messageId: string; errorCode: ErrorCode; whatsappCode: string | undefined },
): Promise<void> {
  await sql`
    with failed as (
      update message set status = 'failed', error_code = ${errorCode}, next_attempt_at = null, wait_reason = null
      where company_id = ${companyId} and id = ${messageId} and status = 'queued'
      returning id, session_id
    )
    insert into event (company_id, type, session_id, subject_id, data)
    select ${companyId}, 'message.status_changed', session_id, id, jsonb_strip_nulls(jsonb_build_object(
      'status', 'failed', 'code', ${errorCode}::text, 'whatsappCode', ${whatsappCode ?? null}::text))
    from failed`.execute(db)
}

const addressOf = ({ phone, lid }: { phone: string | null; lid: string | null }): WhatsAppAddress => ({
  ...(phone !== null && { phone }),
  ...(lid !== null && { lid }),
})
