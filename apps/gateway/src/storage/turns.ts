import type {
  ConversationReason,
  ConversationState,
  MessageContent,
  MessageOrigin,
  OutgoingContent,
  ResponderSettings,
  TurnTrace,
} from '@frontdesk/api-contract'
import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { ErrorCode } from '#src/model/errors.ts'
import { newId } from '#src/model/ids.ts'
import { storableJson } from '#src/model/storable-text.ts'
import type { PastMessage, Turn } from '#src/model/turn.ts'
import { raiseAlert } from './alerts.ts'
import type { WorkerDatabase } from './database.ts'
import { fenced, heldLease, type Lease, LeaseLostError } from './leases.ts'
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

/** A message of an answer, on its way into the outbox. */
interface QueuedAnswer {
  id: string
  whatsappId: string
  content: OutgoingContent
  typingMs: number | null
  expiresAt: Date | null
}

export interface TurnClosing {
  turnId: string
  /** Who answered or left it; null if nobody was asked. */
  responder: string | null
  errorCode?: ErrorCode
  /** The answer, in the order of sending. */
  messages: readonly QueuedAnswer[]
  /** The conversation is handed over to a person, who is waited for until then. */
  handoff?: { reason: ConversationReason; detail?: string; returnsAt: Date }
  labels?: readonly string[]
  usage?: { inputTokens: number; outputTokens: number; costMicros: number }
  trace?: TurnTrace
}

/** What closing a turn came to. `sends`: its answer is in the outbox. */
export interface TurnClosed {
  sends: boolean
}

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
      select id from message
      where session_id = ${sessionId} and contact_id = any (${[...contactIds]}::uuid[]) and company_id = ${companyId}
        and direction = 'inbound' and turn_id is null and is_answerable
        and exists (select from chat where contact_id = ${contactId})
      order by id limit ${limit + 1} for update
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
    message_id: string
    content: MessageContent
    sent_at: Date
  }>`
    select turn.created_at, company.name as company_name,
      session.id as session_id, session.name as session_name, session.phone as session_phone,
      contact.id as contact_id, contact.name as contact_name,
      ${newestAlias('phone', sql`contact.id`)} as contact_phone, ${newestAlias('lid', sql`contact.id`)} as contact_lid,
      array(select value from contact_alias where contact_id = contact.id) as contact_addresses,
      contact.opted_out_at is not null as is_opted_out, turn.held_until,
      not exists (
        select from message answer where answer.company_id = ${companyId} and answer.contact_id = contact.id
          and answer.direction = 'outbound') as is_first,
      conversation.id as conversation_id, conversation.state as conversation_state,
      conversation.responders as conversation_responders, conversation.labels as conversation_labels,
      conversation.turns as conversation_turns,
      conversation.cost_micros as conversation_cost_micros,
      coalesce(today.turns, 0) as turns_today, coalesce(today.cost_micros, 0) as cost_micros_today,
      message.id as message_id, message.content, coalesce(message.sent_at, message.created_at) as sent_at
    from turn
    join company on company.id = turn.company_id
    join session on session.id = turn.session_id
    join contact former on former.id = turn.contact_id
    join contact on contact.id = coalesce(former.merged_into, former.id)
    join conversation on conversation.id = turn.conversation_id
    left join answer_usage today
      on today.company_id = turn.company_id and today.day = (now() at time zone 'UTC')::date
    join message on message.turn_id = turn.id and message.direction = 'inbound'
    where turn.id = ${turnId} and turn.company_id = ${companyId} and turn.state = 'open'
    order by message.id`.execute(db)
  const [first] = rows
  if (first === undefined) return undefined
  return {
    id: turnId,
    company: { id: companyId, name: first.company_name },
    session: { id: first.session_id, name: first.session_name, phone: first.session_phone },
    contact: {
      id: first.contact_id,
      name: first.contact_name,
      phone: first.contact_phone,
      lid: first.contact_lid,
    },
    addresses: first.contact_addresses,
    isOptedOut: first.is_opted_out,
    isFirst: first.is_first,
    conversation: {
      id: first.conversation_id,
      state: first.conversation_state,
      responders: first.conversation_responders,
      labels: first.conversation_labels,
      turns: first.conversation_turns,
      costMicros: first.conversation_cost_micros,
    },
    today: { turns: first.turns_today, costMicros: first.cost_micros_today },
    heldUntil: first.held_until,
    messages: rows.map(({ message_id, content, sent_at }) => ({ id: message_id, content, sentAt: sent_at })),
    createdAt: first.created_at,
  }
}

/**
 * Ends a turn and puts its answer into the outbox, both or neither. `undefined` if the turn was not open: an earlier try has
 * done it. Nothing is sent when the contact has opted out meanwhile, or a person has taken the conversation over.
 * @throws LeaseLostError
 */
export async function closeTurn(
  database: WorkerDatabase,
  lease: Lease,
  closing: TurnClosing,
): Promise<TurnClosed | undefined> {
  if (closing.handoff?.reason !== 'loop_suspected') return (await close(database.worker, lease, closing))?.outcome
  // The alert is raised in the same commit.
  return await fenced(database, lease, async (db) => {
    const closed = await close(db, lease, closing)
    if (closed?.handsOver === true && closed.conversationId !== null) {
      const { conversationId } = closed
      await raiseAlert(db, { kind: 'conversation_loop', ...placeOf(lease), conversationId }, {})
    }
    return closed?.outcome
  })
}

const placeOf = ({ companyId, sessionId }: Lease) => ({ companyId, sessionId })

async function close(
  db: Kysely<Schema>,
  lease: Lease,
  closing: TurnClosing,
): Promise<{ outcome: TurnClosed; handsOver: boolean; conversationId: string | null } | undefined> {
  const { companyId } = lease
  const { turnId, responder, errorCode = null, messages, handoff, labels = [], usage, trace } = closing
  const { inputTokens = 0, outputTokens = 0, costMicros = 0 } = usage ?? {}
  const isAnswered = messages.length > 0
  const { rows } = await sql<{
    isOwner: boolean
    sends: boolean | null
    handsOver: boolean
    conversationId: string | null
  }>`
    with lease as materialized (${heldLease(lease)}), ${addressee(turnId, sql`exists (select from lease)`)},
    conversed_in as materialized (
      -- Before the turn, as all do: a person who writes in this moment is waited for, or waits and takes the answer back.
      select id, state from conversation
      where exists (select from addressee) and id = (select conversation_id from turn where id = ${turnId}) for update
    ), target as materialized (
      select turn.id, turn.session_id, turn.contact_id, conversation.id as conversation_id,
        ${isAnswered} and conversation.state in ('waiting', 'human') as is_taken_over,
        ${handoff !== undefined} and conversation.state = 'bot' as hands_over
      from turn
      left join conversed_in as conversation on true
      where exists (select from lease) and turn.id = ${turnId} and turn.company_id = ${companyId} and turn.state = 'open'
      for update of turn
    ), closed as (
      update turn set responder = ${responder}, closed_at = now(), held_until = null,
        state = case when ${isAnswered} and target.is_taken_over is not true then 'answered' else 'unanswered' end,
        error_code = case when target.is_taken_over then 'conversation_with_person' else ${errorCode}::text end
      from target where turn.id = target.id
      returning turn.id, turn.session_id, turn.contact_id, turn.state, turn.error_code,
        target.conversation_id, target.hands_over
    ), queued as (
      ${queueAnswer(companyId, messages, sql`select * from closed where state = 'answered'`)}
    ), conversed as (
      update conversation set
        turns = turns + case when closed.state = 'answered' then 1 else 0 end, cost_micros = cost_micros + ${costMicros},
        labels = case when cardinality(${[...labels]}::text[]) = 0 then labels else array(
          select label from unnest(labels || ${[...labels]}::text[]) with ordinality as each (label, place)
          group by label order by min(place) limit 20) end,
        state = case when hands_over then 'waiting' else conversation.state end,
        reason = case when hands_over then ${handoff?.reason ?? null} else reason end,
        detail = case when hands_over then ${handoff?.detail ?? null} else detail end,
        state_since = case when hands_over then now() else state_since end,
        returns_at = case when hands_over then ${handoff?.returnsAt ?? null}::timestamptz else returns_at end,
        assignee = case when hands_over then null else assignee end
      from closed where conversation.id = closed.conversation_id
    ), used as (
      insert into answer_usage as today (company_id, day, turns, input_tokens, output_tokens, cost_micros)
      select ${companyId}, (now() at time zone 'UTC')::date, 1, ${inputTokens}, ${outputTokens}, ${costMicros}
      from closed where ${inputTokens + outputTokens > 0}
      on conflict (company_id, day) do update set turns = today.turns + 1,
        input_tokens = today.input_tokens + excluded.input_tokens,
        output_tokens = today.output_tokens + excluded.output_tokens,
        cost_micros = today.cost_micros + excluded.cost_micros
    ), traced as (
      insert into turn_trace (turn_id, company_id, trace)
      select id, ${companyId}, ${trace === undefined ? null : storableJson(trace)}::jsonb from closed where ${trace !== undefined}
    ), announced as (
      insert into event (company_id, type, session_id, subject_id, data)
      select ${companyId}, type, session_id, subject_id, data from (
        select 0 as place, 'turn.closed' as type, session_id, id as subject_id, jsonb_build_object(
          'contactId', contact_id, 'state', state, 'responder', ${responder}::text, 'code', error_code) as data
        from closed
        union all
        ${queuedEvents}
      ) as happened order by place, subject_id
    )
    select exists (select from lease) as "isOwner",
      case when closed.id is not null then state = 'answered' and exists (select from queued where status = 'queued') end as sends,
      hands_over as "handsOver", conversation_id as "conversationId"
    from (select) as always left join closed on true`.execute(db)
  const [row] = rows
  if (row?.isOwner !== true) throw new LeaseLostError(lease)
  const { sends, handsOver, conversationId } = row
  return sends === null ? undefined : { outcome: { sends }, handsOver, conversationId }
}

/**
 * Keeps a turn open until the quiet hours end, and puts what is said meanwhile into the outbox. False if it was not open, or
 * a person has taken the conversation over.
 */
export async function holdTurn(
  companyId: string,
  db: Kysely<Schema>,
  { turnId, until, messages }: { turnId: string; until: Date; messages: readonly QueuedAnswer[] },
): Promise<boolean> {
  const { rows } = await sql`
    with ${addressee(turnId, sql`true`)},
    conversed_in as materialized (
      select id, state from conversation
      where exists (select from addressee) and id = (select conversation_id from turn where id = ${turnId}) for update
    ), held as (
      update turn set held_until = ${until}
      where id = ${turnId} and company_id = ${companyId} and state = 'open'
        and exists (select from conversed_in where conversed_in.state = 'bot')
      returning id, session_id, contact_id
    ), queued as (
      ${queueAnswer(companyId, messages, sql`select * from held`)}
    ), announced as (
      insert into event (company_id, type, session_id, subject_id, data)
      select ${companyId}, type, session_id, subject_id, data from (
        select 0 as place, 'turn.held' as type, session_id, id as subject_id, jsonb_build_object(
          'contactId', contact_id, 'heldUntil', ${until.toISOString()}::text) as data
        from held
        union all
        ${queuedEvents}
      ) as happened order by place, subject_id
    )
    select from held`.execute(db)
  return rows.length > 0
}

/** What was written in the turn's chat before the turn, oldest first: the newest so many messages that have a text. */
export async function listPastMessages(
  companyId: string,
  db: Kysely<Schema>,
  { session, contact, messages }: Turn,
  limit: number,
): Promise<PastMessage[]> {
  const { rows } = await sql<{ origin: MessageOrigin; text: string; at: Date }>`
    select origin, content->>'text' as text, created_at as at from message
    where company_id = ${companyId} and contact_id = ${contact.id} and session_id = ${session.id}
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

/** Whom the turn answers. First of all locks: an opt-out in this moment is waited for, or waits and finds the answer. */
const addressee = (turnId: string, condition: RawBuilder<boolean>) => sql`
  addressee as materialized (
    select opted_out_at from contact
    where ${condition} and id = (select contact_id from turn where id = ${turnId}) for share
  )`

/** Puts an answer into the outbox, for the turn that is given; failed from the beginning for who wants no messages. */
const queueAnswer = (companyId: string, messages: readonly QueuedAnswer[], turn: RawBuilder<unknown>) => sql`
  insert into message (id, company_id, session_id, contact_id, direction, origin, whatsapp_id, status, content, turn_id,
    typing_ms, expires_at, error_code)
  select answer.id, ${companyId}, turn.session_id, turn.contact_id, 'outbound', 'responder', answer.whatsapp_id,
    case when opted_out_at is null then 'queued' else 'failed' end, answer.content, turn.id, answer.typing_ms,
    answer.expires_at, case when opted_out_at is not null then 'contact_opted_out' end
  from (${turn}) as turn, addressee, unnest(
    ${messages.map(({ id }) => id)}::uuid[], ${messages.map(({ whatsappId }) => whatsappId)}::text[],
    ${messages.map(({ content }) => JSON.stringify(content))}::jsonb[],
    ${messages.map(({ typingMs }) => typingMs)}::integer[],
    ${messages.map(({ expiresAt }) => expiresAt)}::timestamptz[]
  ) as answer (id, whatsapp_id, content, typing_ms, expires_at)
  returning id, session_id, contact_id, status, error_code`

/** Of the messages `queued`, after the event at place 0. */
const queuedEvents = sql`
  select 1, 'message.queued', session_id, id, jsonb_build_object('contactId', contact_id) from queued
  union all
  select 2, 'message.status_changed', session_id, id, jsonb_build_object('status', status, 'code', error_code)
  from queued where status = 'failed'`

/** The company's settings as they were stored. */
export async function readCompanySettings(companyId: string, db: Kysely<Schema>): Promise<Record<string, unknown>> {
  const row = await db.selectFrom('company').select('settings').where('id', '=', companyId).executeTakeFirst()
  return row?.settings ?? {}
}
