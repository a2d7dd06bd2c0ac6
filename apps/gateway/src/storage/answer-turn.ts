import type { ConversationReason, OutgoingContent, TurnTrace } from '@frontdesk/api-contract'
import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { ErrorCode } from '#src/model/errors.ts'
import { storableJson } from '#src/model/storable-text.ts'
import { raiseAlert } from './alerts.ts'
import type { WorkerDatabase } from './database.ts'
import { fenced, heldLease, type Lease, LeaseLostError } from './leases.ts'
import type { Schema } from './schema-types.ts'

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
      where exists (select from lease) and turn.id = ${turnId} and turn.company_id = ${companyId} and closed_at is null
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
      where id = ${turnId} and company_id = ${companyId} and closed_at is null
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
