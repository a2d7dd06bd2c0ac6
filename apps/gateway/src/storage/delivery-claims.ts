import type { WebhookAttempt, WebhookOrdering } from '@frontdesk/api-contract'
import { type Kysely, sql } from 'kysely'
import { storableJson } from '#src/model/storable-text.ts'
import type { Schema } from './schema-types.ts'

/** So many failed attempts in a row pause an endpoint. */
export const FAILURES_TO_PAUSE = 10
/** For so long; then one delivery tries whether it works again. */
const PAUSE_SECONDS = 30
/** Whoever has claimed a delivery keeps the claim while the attempt goes on. When not, he is taken to be gone. */
const CLAIM_SECONDS = 5
/** Where chats are kept in order, one that may go is looked for among so many first. */
const LONGEST_DUE = 500
/** How many attempts of a delivery are kept to be read. */
const ATTEMPTS_KEPT = 30

/** A delivery as one process has claimed it. */
export interface ClaimedDelivery {
  id: string
  claim: number
  attempts: number
  giveUpAt: Date
  createdAt: Date
  endpoint: { id: string; companyId: string; url: string; secrets: Uint8Array; ordering: WebhookOrdering }
  event: {
    /** As the API names it. */
    id: string
    type: string
    sessionId: string | null
    subjectId: string | null
    data: Record<string, unknown>
    createdAt: Date
  }
}

interface ClaimedRow {
  id: string
  claim: number
  attempts: number
  give_up_at: Date
  created_at: Date
  endpoint_id: string
  company_id: string
  url: string
  secrets: Uint8Array
  ordering: WebhookOrdering
  event: string
  type: string
  session_id: string | null
  subject_id: string | null
  data: Record<string, unknown>
  event_at: Date
}

// A delivery that is named by its id and must still be waiting is one that has not finished: said so, the indexes of what
// waits, which are walked from end to end to find an id, are out of the question.

/**
 * Claims what is due at these endpoints, for each at most as many as there is room for, the oldest first. Of an endpoint
 * that keeps its chats in order, only the first of each chat; of one that was paused, a single one.
 */
export async function claimDeliveries(
  db: Kysely<Schema>,
  wanted: readonly { endpointId: string; room: number }[],
): Promise<ClaimedDelivery[]> {
  const { rows } = await sql<ClaimedRow>`
    with wanted as materialized (
      select endpoint.id, ordering, failures >= ${FAILURES_TO_PAUSE} as is_trial,
        case when failures >= ${FAILURES_TO_PAUSE} then 1 else room end as room
      from unnest(${wanted.map(({ endpointId }) => endpointId)}::uuid[], ${wanted.map(({ room }) => room)}::int4[])
        as wanted (id, room)
      join webhook_endpoint endpoint on endpoint.id = wanted.id
      where is_enabled and (paused_until is null or paused_until <= now())
    ), picked as materialized (
      select due.id from wanted cross join lateral (
        (select delivery.id from webhook_delivery delivery
          where wanted.ordering = 'none' and delivery.endpoint_id = wanted.id and delivery.state = 'waiting'
            and delivery.next_attempt_at <= now()
          order by delivery.next_attempt_at, delivery.id limit wanted.room)
        union all
        -- The first waiting one of each chat: among what has been due for longest; only if that is all held up, by a walk
        -- from chat to chat over the index.
        (with recursive longest as materialized (
            select id, lane from webhook_delivery
            where wanted.ordering = 'chat' and endpoint_id = wanted.id and state = 'waiting' and next_attempt_at <= now()
            order by next_attempt_at, id limit ${LONGEST_DUE}
          ), free as materialized (
            select longest.id from longest cross join lateral (
              select delivery.id from webhook_delivery delivery
              where delivery.endpoint_id = wanted.id and delivery.state = 'waiting' and delivery.lane = longest.lane
              order by delivery.lane, delivery.id limit 1
            ) as first
            where first.id = longest.id limit wanted.room
          ), head as (
            (select id, lane, next_attempt_at from webhook_delivery
              where wanted.ordering = 'chat' and endpoint_id = wanted.id and state = 'waiting'
                and not exists (select from free)
              order by lane, id limit 1)
            union all
            select next.* from head cross join lateral (
              select delivery.id, delivery.lane, delivery.next_attempt_at from webhook_delivery delivery
              where delivery.endpoint_id = wanted.id and delivery.state = 'waiting' and delivery.lane > head.lane
              order by delivery.lane, delivery.id limit 1
            ) as next
          )
          select id from free
          union all
          (select id from head where next_attempt_at <= now() order by next_attempt_at, id limit wanted.room))
      ) as due
    ), taken as materialized (
      select id, endpoint_id from webhook_delivery
      where id = any (array(select id from picked)) and finished_at is null and next_attempt_at <= now()
      for update skip locked
    ), claimed as (
      update webhook_delivery set next_attempt_at = now() + make_interval(secs => ${CLAIM_SECONDS}), claim = claim + 1
      where id = any (array(select id from taken))
      returning *
    ), tried as (
      -- Others do not try as well.
      update webhook_endpoint set paused_until = now() + make_interval(secs => ${PAUSE_SECONDS})
      where id in (select wanted.id from wanted join taken on taken.endpoint_id = wanted.id where is_trial)
    )
    select claimed.id::text as id, claim, attempts, give_up_at, claimed.created_at, endpoint.id as endpoint_id,
      endpoint.company_id, url, secrets, ordering, format('%s-%s', claimed.event_transaction, event_id) as event,
      event.type, event.session_id, event.subject_id, event.data, event_at
    from claimed
    join webhook_endpoint endpoint on endpoint.id = claimed.endpoint_id
    cross join lateral (
      select type, session_id, subject_id, data from event
      where event.company_id = claimed.company_id and event.transaction = claimed.event_transaction
        and event.id = claimed.event_id and event.created_at = claimed.event_at
      limit 1
    ) as event
    order by claimed.id`.execute(db)
  return rows.map((row) => ({
    id: row.id,
    claim: row.claim,
    attempts: row.attempts,
    giveUpAt: row.give_up_at,
    createdAt: row.created_at,
    endpoint: {
      id: row.endpoint_id,
      companyId: row.company_id,
      url: row.url,
      secrets: row.secrets,
      ordering: row.ordering,
    },
    event: {
      id: row.event,
      type: row.type,
      sessionId: row.session_id,
      subjectId: row.subject_id,
      data: row.data,
      createdAt: row.event_at,
    },
  }))
}

/** The order in which whoever waits for rows locks them, so that no two wait for each other. */
const byId =
  <Item>(deliveryOf: (item: Item) => { id: string }) =>
  (one: Item, other: Item): number =>
    Number(deliveryOf(one).id) - Number(deliveryOf(other).id)

/** Keeps these claims for a while longer: their attempts are still under way. */
export async function keepClaims(db: Kysely<Schema>, deliveries: readonly ClaimedDelivery[]): Promise<void> {
  const inOrder = deliveries.toSorted(byId((delivery) => delivery))
  const of = <Value>(pick: (delivery: ClaimedDelivery) => Value) => inOrder.map(pick)
  // One whose outcome is stored has more attempts, and waits for the next one as long as it is meant to.
  await sql`
    update webhook_delivery delivery set next_attempt_at = now() + make_interval(secs => ${CLAIM_SECONDS})
    from unnest(${of(({ id }) => id)}::int8[], ${of(({ claim }) => claim)}::int4[], ${of(({ attempts }) => attempts)}::int4[])
      as kept (id, claim, attempts)
    where delivery.id = kept.id and delivery.claim = kept.claim and delivery.attempts = kept.attempts
      and delivery.finished_at is null`.execute(db)
}

/** Endpoints at which something is due now. Costs as much as there are endpoints with something waiting. */
export async function listDueEndpoints(db: Kysely<Schema>): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    with recursive waiting as (
      (select endpoint_id from webhook_delivery where state = 'waiting' order by endpoint_id limit 1)
      union all
      select next.endpoint_id from waiting cross join lateral (
        select endpoint_id from webhook_delivery
        where state = 'waiting' and endpoint_id > waiting.endpoint_id order by endpoint_id limit 1
      ) as next
    )
    select endpoint.id from waiting
    join webhook_endpoint endpoint on endpoint.id = waiting.endpoint_id
    cross join lateral (
      select from webhook_delivery
      where webhook_delivery.endpoint_id = endpoint.id and state = 'waiting' and next_attempt_at <= now()
      order by next_attempt_at limit 1
    ) as due
    where is_enabled and (paused_until is null or paused_until <= now())`.execute(db)
  return rows.map(({ id }) => id)
}

/** What an attempt has come to. */
export interface AttemptOutcome {
  delivery: { id: string; claim: number }
  endpoint: { id: string; companyId: string }
  attempt: WebhookAttempt
  /** When it is tried again; undefined when it is over, one way or the other. */
  nextAttemptAt: Date | undefined
  /** Until then the endpoint wants no attempt. */
  notBefore: Date | undefined
  isDelivered: boolean
  /** The endpoint wants nothing any more. */
  isGone: boolean
}

/** How an endpoint stands after the outcomes of some attempts. */
export interface EndpointStanding {
  id: string
  companyId: string
  failures: number
  failuresBefore: number
}

/**
 * Stores the outcomes of attempts, and what they mean for their endpoints. Says how those stand that have failed before
 * or now. An outcome whose claim is not the last one counts for the endpoint only.
 */
export async function storeOutcomes(
  db: Kysely<Schema>,
  outcomes: readonly AttemptOutcome[],
): Promise<EndpointStanding[]> {
  const inOrder = outcomes.toSorted(byId(({ delivery }) => delivery))
  const of = <Value>(pick: (outcome: AttemptOutcome) => Value) => inOrder.map(pick)
  const endpoints = [...Map.groupBy(outcomes, ({ endpoint }) => endpoint.id)].map(([id, its]) => {
    const lastDelivered = its.findLastIndex(({ isDelivered }) => isDelivered)
    return {
      id,
      hasDelivered: lastDelivered >= 0,
      failed: its.length - 1 - lastDelivered,
      isGone: its.some(({ isGone }) => isGone),
    }
  })
  const { rows } = await sql<EndpointStanding>`
    with outcome as materialized (
      select * from unnest(${of(({ delivery }) => delivery.id)}::int8[], ${of(({ delivery }) => delivery.claim)}::int4[],
        ${of(({ isDelivered, nextAttemptAt }) => (isDelivered ? 'delivered' : nextAttemptAt ? 'waiting' : 'dead'))}::text[],
        ${of(({ nextAttemptAt }) => nextAttemptAt ?? null)}::timestamptz[],
        ${of(({ notBefore }) => notBefore ?? null)}::timestamptz[],
        ${of(({ attempt }) => storableJson(attempt))}::jsonb[]
      ) as outcome (id, claim, state, next_attempt_at, not_before, attempt)
    ), stored as (
      update webhook_delivery delivery set
        state = outcome.state,
        attempts = attempts + 1,
        next_attempt_at = coalesce(outcome.next_attempt_at, delivery.next_attempt_at),
        not_before = outcome.not_before,
        attempt_log = case when jsonb_array_length(attempt_log) < ${ATTEMPTS_KEPT} then attempt_log else attempt_log - 0 end
          || outcome.attempt,
        finished_at = case when outcome.state <> 'waiting' then now() end
      from outcome where delivery.id = outcome.id and delivery.claim = outcome.claim and delivery.finished_at is null
    ), before as materialized (
      select endpoint.id, failures, has_delivered, failed, is_gone
      from unnest(${endpoints.map(({ id }) => id)}::uuid[], ${endpoints.map(({ hasDelivered }) => hasDelivered)}::boolean[],
        ${endpoints.map(({ failed }) => failed)}::int4[], ${endpoints.map(({ isGone }) => isGone)}::boolean[]
      ) as outcome (id, has_delivered, failed, is_gone)
      join webhook_endpoint endpoint on endpoint.id = outcome.id
      where failures > 0 or failed > 0
      -- In one order, so that two processes do not wait for each other.
      order by endpoint.id for update of endpoint
    ), after as (
      select *, failed + case when has_delivered then 0 else failures end as failures_now from before
    ), resumed as (
      -- It works again: what waits for a later attempt is made now. What is claimed, or comes as soon, is left alone, and
      -- so is what somebody else is just changing.
      update webhook_delivery set next_attempt_at = greatest(now(), not_before)
      where id = any (array(
        select delivery.id from after cross join lateral (
          select id from webhook_delivery
          where endpoint_id = after.id and state = 'waiting' and id not in (select id from outcome)
            and next_attempt_at > greatest(now() + make_interval(secs => ${CLAIM_SECONDS}), not_before)
          for update skip locked
        ) as delivery
        where after.has_delivered and after.failures >= ${FAILURES_TO_PAUSE}))
    )
    update webhook_endpoint endpoint set
      failures = failures_now,
      paused_until = case when failures_now >= ${FAILURES_TO_PAUSE} then now() + make_interval(secs => ${PAUSE_SECONDS}) end,
      is_enabled = is_enabled and not is_gone
    from after where endpoint.id = after.id
    returning endpoint.id, endpoint.company_id as "companyId", failures_now as failures,
      after.failures as "failuresBefore"`.execute(db)
  return rows
}
