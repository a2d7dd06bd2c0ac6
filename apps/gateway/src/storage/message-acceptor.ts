import type { MessageStatus, OutgoingContent } from '@frontdesk/api-contract'
import { DatabaseError } from 'pg'
import type { WhatsAppAddress } from '#src/model/whatsapp-address.ts'
import type { SessionState } from './schema-types.ts'
import { FlushConnection, type FlushServer } from './writer/flush-connection.ts'
import { isDataError } from './writer/is-data-error.ts'

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
  /** The person who writes; a trigger makes the conversation theirs. */
  agent: string | undefined
  /** Not before this moment; null: at once. */
  sendAt: Date | null
  expiresAt: Date
  idempotencyKey: string | undefined
  /** SHA-256 of the request; the same idempotency key with another one is refused. */
  requestHash: Uint8Array
}

/** What became of a new message. Only `queued` and `opted_out` have changed anything. */
export type Acceptance =
  | { kind: 'queued'; contactId: string; to: WhatsAppAddress; createdAt: Date }
  /** Stored, and failed at once: the contact does not want messages. */
  | { kind: 'opted_out'; contactId: string; createdAt: Date }
  /** This idempotency key has been used. */
  | { kind: 'repeated'; message: EarlierMessage }
  | { kind: 'session_unknown' }
  | { kind: 'session_unlinked'; state: SessionState }
  | { kind: 'contact_unknown' }
  /** Something with the same key or number was being stored at the same moment: a second look will find it. */
  | { kind: 'unsettled' }

interface EarlierMessage {
  id: string
  sessionId: string
  contactId: string
  whatsappId: string
  status: MessageStatus
  requestHash: Uint8Array
  createdAt: Date
}

interface Row {
  id: string
  /** Set in a row that tells of a stored message; the other rows tell what is known of each message given. */
  created_at: Date | null
  contact_id: string | null
  /** Of a stored message. */
  is_opted_out: boolean
  state: SessionState | null
  is_linked: boolean
  phone: string | null
  lid: string | null
  earlier: {
    id: string
    session_id: string
    contact_id: string
    whatsapp_id: string
    status: MessageStatus
    request_hash: string
    created_at_ms: number
  } | null
}

/**
 * What can be accepted is stored with its event, and with its contact if the number is new; the rest is only told about.
 * All in one statement, hence one transaction. Each lookup is a lateral join with a limit, which leaves the planner no
 * choice but the index: the plan is made once and must still be right when the tables have grown.
 */
const TEXT = `
with input as materialized (
  select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::uuid[], $7::text[], $8::jsonb[],
    $9::text[], $10::bytea[], $11::timestamptz[], $12::timestamptz[], $13::text[]) with ordinality
    as input (id, company_id, session_id, contact_id, phone, new_contact_id, whatsapp_id, content, idempotency_key,
      request_hash, send_at, expires_at, agent, place)
), known as materialized (
  select input.*, session.state, coalesce(session.is_linked, false) as is_linked, earlier.message as earlier,
    canonical.contact_id as known_contact_id, coalesce(canonical.is_opted_out, false) as is_opted_out
  from input
  left join lateral (
    select state, linked_at is not null and state <> 'logged_out' as is_linked, company_id from session
    where session.id = input.session_id limit 1
  ) as session on session.company_id = input.company_id
  left join lateral (
    select jsonb_build_object('id', id, 'session_id', session_id, 'contact_id', contact_id, 'whatsapp_id', whatsapp_id,
      'status', status, 'request_hash', encode(request_hash, 'hex'),
      'created_at_ms', floor(extract(epoch from created_at) * 1000)) as message
    from message
    where message.company_id = input.company_id and message.idempotency_key = input.idempotency_key limit 1
  ) as earlier on true
  left join lateral (
    select contact_id from contact_alias
    where company_id = input.company_id and kind = 'phone' and value = input.phone limit 1
  ) as alias on true
  left join lateral (
    select coalesce(merged_into, id) as contact_id, company_id, case when merged_into is null then opted_out_at else (
        select survivor.opted_out_at from contact as survivor where survivor.id = contact.merged_into
      ) end is not null as is_opted_out
    from contact
    where contact.id = coalesce(input.contact_id, alias.contact_id) limit 1
    -- A merge or an opt-out under way is waited for, and none passes the message by.
    for share
  ) as canonical on canonical.company_id = input.company_id
), new_alias as (
  insert into contact_alias (company_id, kind, value, contact_id)
  select distinct on (company_id, phone) company_id, 'phone', phone, new_contact_id from known
  where is_linked and earlier is null and known_contact_id is null and phone is not null
  order by company_id, phone, place
  on conflict do nothing
  returning company_id, value, contact_id
), new_contact as (
  insert into contact (id, company_id) select contact_id, company_id from new_alias
), queued as (
  insert into message (id, company_id, session_id, contact_id, direction, origin, whatsapp_id, status, content,
    idempotency_key, request_hash, send_at, next_attempt_at, wait_reason, expires_at, error_code, agent)
  select known.id, known.company_id, session_id, coalesce(known_contact_id, new_alias.contact_id),
    'outbound', 'api', whatsapp_id, case when is_opted_out then 'failed' else 'queued' end, content, idempotency_key,
    request_hash, send_at, case when not is_opted_out then send_at end,
    case when not is_opted_out and send_at is not null then 'scheduled' end, expires_at,
    case when is_opted_out then 'contact_opted_out' end, agent
  from known left join new_alias on new_alias.company_id = known.company_id and new_alias.value = known.phone
  where is_linked and earlier is null and coalesce(known_contact_id, new_alias.contact_id) is not null
  order by place
  on conflict (company_id, idempotency_key) where idempotency_key is not null do nothing
  returning id, company_id, session_id, contact_id, status, error_code, created_at
), announced as (
  insert into event (company_id, type, session_id, subject_id, data)
  select company_id, type, session_id, id, data from (
    select 0 as place, company_id, 'message.queued' as type, session_id, id,
      jsonb_build_object('contactId', contact_id) as data
    from queued
    union all
    select 1, company_id, 'message.status_changed', session_id, id,
      jsonb_build_object('status', status, 'code', error_code)
    from queued where status = 'failed'
  ) as happened order by id, place
)
select id, null::timestamptz as created_at, known_contact_id as contact_id, is_opted_out, state, is_linked, coalesce(phone, (
    select value from contact_alias
    where contact_alias.contact_id = known_contact_id and kind = 'phone' order by created_at desc limit 1)) as phone, (
    select value from contact_alias
    where contact_alias.contact_id = known_contact_id and kind = 'lid' order by created_at desc limit 1) as lid, earlier
from known
union all
select id, created_at, contact_id, status = 'failed', null, true, null, null, null from queued`

const DEADLOCK = '40P01'
const MAX_TRIES = 5

/** Puts messages of any number of companies into the outbox, over a connection of its own. */
export class MessageAcceptor implements AsyncDisposable {
  readonly #connection: FlushConnection

  constructor(server: FlushServer) {
    this.#connection = new FlushConnection(server)
  }

  /** All or nothing: rejects without a change, or without knowing when the connection broke. Not to be called twice at a time. */
  async accept(messages: readonly NewMessage[]): Promise<Acceptance[]> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#accept(messages)
      } catch (error) {
        // A merge of contacts wanted the same ones in another order, and the server has let the merge through.
        if (error instanceof DatabaseError && error.code === DEADLOCK && tries < MAX_TRIES) continue
        if (!isDataError(error)) await this.#connection.drop()
        throw error
      }
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#connection[Symbol.asyncDispose]()
  }

  async #accept(messages: readonly NewMessage[]): Promise<Acceptance[]> {
    const { rows } = await this.#connection.query<Row>(acceptStatement(messages))
    const known = new Map(rows.filter((row) => row.created_at === null).map((row) => [row.id, row]))
    const stored = new Map(rows.filter((row) => row.created_at !== null).map((row) => [row.id, row]))
    return messages.map((message) => acceptance(message, known.get(message.id), stored.get(message.id)))
  }
}

/** The statement that accepts these messages. Prepared under a name, since planning costs more than running. */
export const acceptStatement = (
  messages: readonly NewMessage[],
): { name: string; text: string; values: unknown[] } => ({
  name: 'frontdesk_accept',
  text: TEXT,
  values: valuesOf(messages),
})

const valuesOf = (messages: readonly NewMessage[]): unknown[] => [
  messages.map(({ id }) => id),
  messages.map(({ companyId }) => companyId),
  messages.map(({ sessionId }) => sessionId),
  messages.map(({ to }) => ('contactId' in to ? to.contactId : null)),
  messages.map(({ to }) => ('phone' in to ? to.phone : null)),
  messages.map(({ newContactId }) => newContactId),
  messages.map(({ whatsappId }) => whatsappId),
  messages.map(({ content }) => JSON.stringify(content)),
  messages.map(({ idempotencyKey }) => idempotencyKey ?? null),
  messages.map(({ requestHash }) => Buffer.from(requestHash)),
  messages.map(({ sendAt }) => sendAt),
  messages.map(({ expiresAt }) => expiresAt),
  messages.map(({ agent }) => agent ?? null),
]

function acceptance({ to }: NewMessage, known: Row | undefined, stored: Row | undefined): Acceptance {
  if (known === undefined) throw new Error('The database has not answered for each message.')
  const { earlier, state, is_linked, phone, lid } = known
  if (earlier !== null) return { kind: 'repeated', message: earlierMessage(earlier) }
  if (state === null) return { kind: 'session_unknown' }
  if (!is_linked) return { kind: 'session_unlinked', state }
  if (known.contact_id === null && 'contactId' in to) return { kind: 'contact_unknown' }
  if (stored?.contact_id == null || stored.created_at === null) return { kind: 'unsettled' }
  const { contact_id: contactId, created_at: createdAt } = stored
  if (stored.is_opted_out) return { kind: 'opted_out', contactId, createdAt }
  const address = { ...(phone !== null && { phone }), ...(lid !== null && { lid }) }
  return { kind: 'queued', contactId, to: address, createdAt }
}

const earlierMessage = (earlier: NonNullable<Row['earlier']>): EarlierMessage => ({
  id: earlier.id,
  sessionId: earlier.session_id,
  contactId: earlier.contact_id,
  whatsappId: earlier.whatsapp_id,
  status: earlier.status,
  requestHash: Buffer.from(earlier.request_hash, 'hex'),
  createdAt: new Date(earlier.created_at_ms),
})
