import type { ConversationState, MessageContent, MessageOrigin, ResponderSettings } from '@frontdesk/api-contract'
import { type Kysely, sql } from 'kysely'
import { newId } from '#src/model/ids.ts'
import type { PastMessage, Turn } from '#src/model/turn.ts'
import { heldLease, type Lease, LeaseLostError } from './leases.ts'
import { newestAlias } from './newest-alias.ts'
import type { Schema } from './schema-types.ts'

export interface TurnOpening {
  turnId: string
  /** The contact that the turn is for, and all whose messages it takes. */
  contactId: string
  contactIds: readonly string[]
  /** At most so many messages, the oldest. */
  limit: number
}

/**
 * What opening a turn came to. `turnId`: the new turn, or the one of the chat that was held and has taken in what waits.
 * `merged`: nothing was done, because the contact has become another.
 */
export type TurnOpened =
  | { kind: 'opened'; turnId: string; taken: number; moreWaits: boolean }
  | { kind: 'nothing_waits' }
  | { kind: 'merged'; contactId: string }

/** So many messages a turn takes in while it is held; what is written after them waits for the next. */
const MAX_HELD_MESSAGES = 200

/**
 * Takes the chat's waiting messages into a new turn, or into the one that is held: the turn, its messages and the event,
 * or nothing. A conversation that was closed, or with a person for long enough, is the bot's again.
 * @throws LeaseLostError
 */
export async function openTurn(db: Kysely<Schema>, lease: Lease, opening: TurnOpening): Promise<TurnOpened> {
  const { companyId, sessionId } = lease
  const { turnId, contactId, contactIds, limit } = opening
  const { rows } = await sql<{
    is_owner: boolean
    contact_id: string | null
    turn_id: string | null
    taken: number
    more_waits: boolean
  }>`
    with lease as materialized (${heldLease(lease)}), chat as materialized (
      select coalesce(merged_into, id) as contact_id from contact
      where exists (select from lease) and company_id = ${companyId} and id = ${contactId}
    ), waiting as materialized (
      select message.id from unnest(${[...contactIds]}::uuid[]) as own (contact_id) cross join lateral (
        select id from message
        where session_id = ${sessionId} and message.contact_id = own.contact_id
          and direction = 'inbound' and turn_id is null and is_answerable
        order by id limit ${limit + 1} for update
      ) as message
      where exists (select from chat where contact_id = ${contactId})
      order by message.id limit ${limit + 1}
    ), begun as (
      insert into conversation (id, company_id, session_id, contact_id)
      select ${newId()}, ${companyId}, ${sessionId}, ${contactId} where exists (select from waiting)
      on conflict (session_id, contact_id) do update set
        state = 'bot', reason = case conversation.state when 'closed' then 'customer_wrote' else 'timed_out' end,
        detail = null, state_since = now(), returns_at = null, assignee = null, turns = 0, cost_micros = 0
        where conversation.state = 'closed' or conversation.returns_at <= now()
      returning id
    ), held as materialized (
      -- After the conversation, which whoever ends a held turn has locked before.
      select turn.id, (
          select count(*)::int from message where turn_id = turn.id and direction = 'inbound') as messages
      from turn
      where (select count(*) from begun) >= 0 and session_id = ${sessionId} and held_until is not null
        and contact_id = ${contactId}
      order by turn.id limit 1 for update
    ), batch as materialized (
      select id from waiting order by id
      limit greatest(0, least(${limit}, ${MAX_HELD_MESSAGES} - coalesce((select messages from held), 0)))
    ), opened as (
      insert into turn (id, company_id, session_id, contact_id, conversation_id)
      select ${turnId}, ${companyId}, ${sessionId}, ${contactId}, coalesce(
        (select id from begun),
        (select id from conversation where session_id = ${sessionId} and contact_id = ${contactId}))
      where exists (select from batch) and not exists (select from held)
      returning id
    ), taken as (
      update message set turn_id = coalesce((select id from held), (select id from opened))
      from batch where message.id = batch.id
    ), announced as (
      insert into event (company_id, type, session_id, subject_id, data)
      select ${companyId}, 'turn.opened', ${sessionId}, id, jsonb_build_object('contactId', ${contactId}::uuid) from opened
    )
    select exists (select from lease) as is_owner, (select contact_id from chat),
      coalesce((select id from held), (select id from opened)) as turn_id,
      (select count(*)::int from batch) as taken,
      (select count(*) from waiting) > (select count(*) from batch) as more_waits`.execute(db)
  const [row] = rows
  if (row?.is_owner !== true) throw new LeaseLostError(lease)
  if (row.contact_id === null) return { kind: 'nothing_waits' }
  if (row.contact_id !== contactId) return { kind: 'merged', contactId: row.contact_id }
  return row.turn_id === null
    ? { kind: 'nothing_waits' }
    : { kind: 'opened', turnId: row.turn_id, taken: row.taken, moreWaits: row.more_waits }
}

/** An open turn with all that a responder may know of it. */
export async function readOpenTurn(companyId: string, db: Kysely<Schema>, turnId: string): Promise<Turn | undefined> {
  const { rows } = await sql<{
    created_at: Date
    company_name: string
    session_id: string
    session_name: string
    session_phone: string | null
    contact_id: string
    contact_name: string | null
    contact_phone: string | null
    contact_lid: string | null
    contact_addresses: string[]
    is_opted_out: boolean
    is_first: boolean
    held_until: Date | null
    conversation_id: string
    conversation_state: ConversationState
    conversation_responders: ResponderSettings[] | null
    conversation_labels: string[]
    conversation_turns: number
    conversation_cost_micros: number
    turns_today: number
    cost_micros_today: number
    /** Null when there are none, as after a merge of contacts. */
    messages: [id: string, content: MessageContent, sentAt: string][] | null
  }>`
    select turn.created_at, company.name as company_name,
      session.id as session_id, session.name as session_name, session.phone as session_phone,
      contact.id as contact_id, contact.name as contact_name,
      ${newestAlias('phone', sql`contact.id`)} as contact_phone, ${newestAlias('lid', sql`contact.id`)} as contact_lid,
      array(select value from contact_alias where contact_id = contact.id) as contact_addresses,
      contact.opted_out_at is not null as is_opted_out, turn.held_until,
      not exists (
        select from message answer where answer.contact_id = contact.id and answer.direction = 'outbound') as is_first,
      conversation.id as conversation_id, conversation.state as conversation_state,
      conversation.responders as conversation_responders, conversation.labels as conversation_labels,
      conversation.turns as conversation_turns,
      conversation.cost_micros as conversation_cost_micros,
      coalesce(today.turns, 0) as turns_today, coalesce(today.cost_micros, 0) as cost_micros_today,
      (select json_agg(json_build_array(id, content, coalesce(sent_at, created_at)) order by id) from message
        where turn_id = turn.id and direction = 'inbound') as messages
    from turn
    join company on company.id = turn.company_id
    join session on session.id = turn.session_id
    join contact former on former.id = turn.contact_id
    join contact on contact.id = coalesce(former.merged_into, former.id)
    join conversation on conversation.id = turn.conversation_id
    left join answer_usage today
      on today.company_id = turn.company_id and today.day = (now() at time zone 'UTC')::date
    where turn.id = ${turnId} and turn.company_id = ${companyId} and turn.closed_at is null`.execute(db)
  const [row] = rows
  if (!row?.messages) return undefined
  return {
    id: turnId,
    company: { id: companyId, name: row.company_name },
    session: { id: row.session_id, name: row.session_name, phone: row.session_phone },
    contact: {
      id: row.contact_id,
      name: row.contact_name,
      phone: row.contact_phone,
      lid: row.contact_lid,
    },
    addresses: row.contact_addresses,
    isOptedOut: row.is_opted_out,
    isFirst: row.is_first,
    conversation: {
      id: row.conversation_id,
      state: row.conversation_state,
      responders: row.conversation_responders,
      labels: row.conversation_labels,
      turns: row.conversation_turns,
      costMicros: row.conversation_cost_micros,
    },
    today: { turns: row.turns_today, costMicros: row.cost_micros_today },
    heldUntil: row.held_until,
    messages: row.messages.map(([id, content, sentAt]) => ({ id, content, sentAt: new Date(sentAt) })),
    createdAt: row.created_at,
  }
}

/** What was written in the turn's chat before the turn, oldest first: the newest so many messages that have a text. */
export async function listPastMessages(
  db: Kysely<Schema>,
  { session, contact, messages }: Turn,
  limit: number,
): Promise<PastMessage[]> {
  const { rows } = await sql<{ origin: MessageOrigin; text: string; at: Date }>`
    select origin, content->>'text' as text, created_at as at from message
    where contact_id = ${contact.id} and session_id = ${session.id}
      and id <> all (${messages.map(({ id }) => id)}::uuid[]) and id < ${messages.at(-1)?.id ?? null}::uuid
      and content->>'kind' = 'text' and status <> 'failed'
    order by id desc limit ${limit}`.execute(db)
  return rows.map(({ origin, text, at }) => ({ from: AUTHORS[origin], text, at })).reverse()
}

const AUTHORS: Readonly<Record<MessageOrigin, PastMessage['from']>> = {
  customer: 'customer',
  responder: 'bot',
  api: 'person',
  phone: 'person',
}
