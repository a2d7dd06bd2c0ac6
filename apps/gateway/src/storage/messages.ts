import type { MessageStatus, OutgoingContent } from '@frontdesk/api-contract'
import { type Kysely, sql } from 'kysely'
import type { ErrorCode } from '#src/model/errors.ts'
import type { QueuedMessage } from '#src/model/queued-message.ts'
import type { WhatsAppAddress } from '#src/model/whatsapp-address.ts'
import { newestAlias } from './newest-alias.ts'
import type { Schema, SessionState } from './schema-types.ts'

/** A message that a company wants to be sent, before it is known whether that is possible. */
export interface NewMessage {
  id: string
  companyId: string
  sessionId: string
  to: { phone: string } | { contactId: string }
  /** The id that the contact gets if the phone number is new. */
  newContactId: string
  whatsappId: string
  content: OutgoingContent
  idempotencyKey: string | undefined
  /** SHA-256 of the request; the same idempotency key with another one is refused. */
  requestHash: Uint8Array
}

/** What became of a new message. Only `queued` has changed anything. */
export type Acceptance =
  | { kind: 'queued'; contactId: string; to: WhatsAppAddress; createdAt: Date }
  /** This idempotency key has been used. */
  | { kind: 'repeated'; message: EarlierMessage }
  | { kind: 'session_unknown' }
  | { kind: 'session_unlinked'; state: SessionState }
  | { kind: 'contact_unknown' }
  /** Something with the same key or number was being stored at the same moment: a second look will find it. */
  | { kind: 'unsettled' }

export interface EarlierMessage {
  id: string
  sessionId: string
  contactId: string
  whatsappId: string
  status: MessageStatus
  requestHash: Uint8Array
  createdAt: Date
}

interface AcceptedRow {
  state: SessionState | null
  is_linked: boolean
  contact_id: string | null
  phone: string | null
  lid: string | null
  created_at: Date | null
  earlier_id: string | null
}

/**
 * Puts messages of any number of companies into the outbox in one statement, each with its event, and with its contact
 * if the number is new. They are queued in the order given. The result has the same order.
 */
export async function acceptMessages(db: Kysely<Schema>, messages: readonly NewMessage[]): Promise<Acceptance[]> {
  const phones = messages.map(({ to }) => ('phone' in to ? to.phone : null))
  const contactIds = messages.map(({ to }) => ('contactId' in to ? to.contactId : null))
  const { rows } = await sql<AcceptedRow>`
    with input as materialized (
      select * from unnest(
        ${messages.map(({ id }) => id)}::uuid[],
        ${messages.map(({ companyId }) => companyId)}::uuid[],
        ${messages.map(({ sessionId }) => sessionId)}::uuid[],
        ${contactIds}::uuid[],
        ${phones}::text[],
        ${messages.map(({ newContactId }) => newContactId)}::uuid[],
        ${messages.map(({ whatsappId }) => whatsappId)}::text[],
        ${messages.map(({ content }) => JSON.stringify(content))}::jsonb[],
        ${messages.map(({ idempotencyKey }) => idempotencyKey ?? null)}::text[],
        ${messages.map(({ requestHash }) => Buffer.from(requestHash))}::bytea[]
      ) with ordinality as input (id, company_id, session_id, contact_id, phone, new_contact_id, whatsapp_id, content,
        idempotency_key, request_hash, place)
    ), known as materialized (
      select input.*, session.state, session.linked_at is not null and session.state <> 'logged_out' as is_linked,
        earlier.id as earlier_id, coalesce(contact.merged_into, contact.id) as known_contact_id
      from input
      left join session on session.company_id = input.company_id and session.id = input.session_id
      left join message earlier
        on earlier.company_id = input.company_id and earlier.idempotency_key = input.idempotency_key
      left join contact_alias alias
        on alias.company_id = input.company_id and alias.kind = 'phone' and alias.value = input.phone
      left join contact
        on contact.company_id = input.company_id and contact.id = coalesce(input.contact_id, alias.contact_id)
    ), new_alias as (
      insert into contact_alias (company_id, kind, value, contact_id)
      select distinct on (company_id, phone) company_id, 'phone', phone, new_contact_id from known
      where is_linked and earlier_id is null and known_contact_id is null and phone is not null
      order by company_id, phone, place
      on conflict do nothing
      returning company_id, value, contact_id
    ), new_contact as (
      insert into contact (id, company_id) select contact_id, company_id from new_alias
    ), queued as (
      insert into message (id, company_id, session_id, contact_id, direction, origin, whatsapp_id, status, content,
        idempotency_key, request_hash)
      select known.id, known.company_id, session_id, coalesce(known_contact_id, new_alias.contact_id),
        'outbound', 'api', whatsapp_id, 'queued', content, idempotency_key, request_hash
      from known left join new_alias on new_alias.company_id = known.company_id and new_alias.value = known.phone
      where is_linked and earlier_id is null and coalesce(known_contact_id, new_alias.contact_id) is not null
      order by place
      on conflict (company_id, idempotency_key) where idempotency_key is not null do nothing
      returning id, company_id, session_id, contact_id, created_at
    ), announced as (
      insert into event (company_id, type, session_id, subject_id, data)
      select company_id, 'message.queued', session_id, id, jsonb_build_object('contactId', contact_id)
      from queued order by id
    )
    select known.state, coalesce(known.is_linked, false) as is_linked, known.earlier_id, queued.created_at,
      coalesce(queued.contact_id, known.known_contact_id) as contact_id,
      coalesce(known.phone, ${newestAlias('phone', sql`known_contact_id`)}) as phone,
      ${newestAlias('lid', sql`known_contact_id`)} as lid
    from known left join queued on queued.id = known.id
    order by place`.execute(db)
  return Promise.all(
    messages.map(async ({ companyId, to }, place): Promise<Acceptance> => {
      const row = rows[place]
      if (row === undefined) throw new Error('The database did not answer for each message.')
      if (row.earlier_id !== null) {
        const message = await readEarlier(companyId, db, row.earlier_id)
        return message === undefined ? { kind: 'unsettled' } : { kind: 'repeated', message }
      }
      if (row.state === null) return { kind: 'session_unknown' }
      if (!row.is_linked) return { kind: 'session_unlinked', state: row.state }
      if (row.contact_id === null && 'contactId' in to) return { kind: 'contact_unknown' }
      if (row.contact_id === null || row.created_at === null) return { kind: 'unsettled' }
      return { kind: 'queued', contactId: row.contact_id, to: addressOf(row), createdAt: row.created_at }
    }),
  )
}

async function readEarlier(
  companyId: string,
  db: Kysely<Schema>,
  messageId: string,
): Promise<EarlierMessage | undefined> {
  const row = await db
    .selectFrom('message')
    .select(['id', 'session_id', 'contact_id', 'whatsapp_id', 'status', 'request_hash', 'created_at'])
    .where('company_id', '=', companyId)
    .where('id', '=', messageId)
    .executeTakeFirst()
  return (
    row && {
      id: row.id,
      sessionId: row.session_id,
      contactId: row.contact_id,
      whatsappId: row.whatsapp_id,
      status: row.status,
      requestHash: row.request_hash ?? new Uint8Array(),
      createdAt: row.created_at,
    }
  )
}

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
