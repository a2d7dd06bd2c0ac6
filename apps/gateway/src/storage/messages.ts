import type { OutgoingContent } from '@frontdesk/api-contract'
import { type Kysely, sql } from 'kysely'
import type { ErrorCode } from '#src/model/errors.ts'
import type { QueuedMessage } from '#src/model/queued-message.ts'
import type { WhatsAppAddress } from '#src/model/whatsapp-address.ts'
import { newestAlias } from './newest-alias.ts'
import type { Schema } from './schema-types.ts'

/** Messages of the session that wait to be sent, in the order of acceptance, without those named. */
export async function readQueuedMessages(
  companyId: string,
  db: Kysely<Schema>,
  { sessionId, except, limit }: { sessionId: string; except: readonly string[]; limit: number },
): Promise<QueuedMessage[]> {
  const { rows } = await sql<{
    id: string
    contact_id: string
    whatsapp_id: string
    content: OutgoingContent
    attempts: number
    next_attempt_at: Date | null
    created_at: Date
    phone: string | null
    lid: string | null
  }>`
    select message.id, canonical.id as contact_id, whatsapp_id, content, attempts, next_attempt_at, message.created_at,
      ${newestAlias('phone', sql`canonical.id`)} as phone, ${newestAlias('lid', sql`canonical.id`)} as lid
    from message
    join contact on contact.id = message.contact_id
    join contact canonical on canonical.id = coalesce(contact.merged_into, contact.id)
    where session_id = ${sessionId} and message.company_id = ${companyId} and status = 'queued'
      and message.id <> all (${[...except]}::uuid[])
    order by message.id limit ${limit}`.execute(db)
  return rows.map((row) => ({
    id: row.id,
    contactId: row.contact_id,
    whatsappId: row.whatsapp_id,
    to: addressOf(row),
    content: row.content,
    attempts: row.attempts,
    nextAttemptAt: row.next_attempt_at,
    createdAt: row.created_at,
  }))
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

/** Notes an attempt that was not acknowledged, and when the next one may be made. */
export async function deferMessage(
  companyId: string,
  db: Kysely<Schema>,
  { messageId, attempts, nextAttemptAt }: { messageId: string; attempts: number; nextAttemptAt: Date },
): Promise<void> {
  await db
    .updateTable('message')
    .set({ attempts, next_attempt_at: nextAttemptAt })
    .where('company_id', '=', companyId)
    .where('id', '=', messageId)
    .where('status', '=', 'queued')
    .execute()
}

/** Ends the sending of a message, with the event. Does nothing to one that has come further meanwhile. */
export async function failMessage(
  companyId: string,
  db: Kysely<Schema>,
  { messageId, errorCode, whatsappCode }: { messageId: string; errorCode: ErrorCode; whatsappCode: string | undefined },
): Promise<void> {
  await sql`
    with failed as (
      update message set status = 'failed', error_code = ${errorCode}, next_attempt_at = null
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
