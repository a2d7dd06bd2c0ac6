import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { Schema } from './schema-types.ts'

/** States in which a linked session is meant to be online. */
const MEANT_TO_BE_ONLINE = sql`session.linked_at is not null and session.state in ('connecting', 'online', 'reconnecting')`
const DAY_MS = 24 * 60 * 60 * 1000
/** No interval is added for more days: they are not kept for longer. */
export const UPTIME_RETENTION_DAYS = 100

/** Part of the time in which the session was meant to be online, from 0 to 1. Null where it was never meant to be. */
export interface Uptime {
  last24Hours: number | null
  last30Days: number | null
  last90Days: number | null
}

/**
 * The statement that adds the time since each session's last transition to its days of UTC, as the state that it ends.
 * To be a part of the statement that changes the state, which reads the sessions as they are before it.
 *
 * @param changed a relation of `session_id`, `since` (the transition) and `counted_until`: up to then at most the state
 * before counts as online
 */
export const addedUptime = (changed: RawBuilder<unknown>): RawBuilder<unknown> => sql`
  insert into session_uptime (session_id, company_id, day, online_ms, meant_ms)
  select id, company_id, day::date,
    case when is_online
      then greatest(0, round(extract(epoch from least(online_until, day + interval '1 day') - greatest(since, day)) * 1000))
      else 0 end,
    round(extract(epoch from least(until, day + interval '1 day') - greatest(since, day)) * 1000)
  from (
    select session.id, session.company_id, session.state = 'online' as is_online,
      greatest(session.state_since, changed.since - make_interval(days => ${UPTIME_RETENTION_DAYS})) at time zone 'UTC' as since,
      changed.since at time zone 'UTC' as until,
      least(changed.since, changed.counted_until) at time zone 'UTC' as online_until
    from session join ${changed} as changed on changed.session_id = session.id
    where ${MEANT_TO_BE_ONLINE}
  ) as span
  cross join lateral generate_series(date_trunc('day', since), until, interval '1 day') as day
  where least(until, day + interval '1 day') > greatest(since, day)
  on conflict (session_id, day) do update set
    online_ms = session_uptime.online_ms + excluded.online_ms,
    meant_ms = session_uptime.meant_ms + excluded.meant_ms`

/**
 * How reliably the session was online up to now, the present state included. Only days are kept: of the day in which a
 * span begins, its average counts for the hours that belong to the span.
 */
export async function readUptime(companyId: string, db: Kysely<Schema>, sessionId: string, now: Date): Promise<Uptime> {
  const { rows: days } = await sql<{ day: string; online_ms: number; meant_ms: number }>`
    select to_char(day, 'YYYY-MM-DD') as day, online_ms, meant_ms from session_uptime
    where session_id = ${sessionId} and company_id = ${companyId}
      and day >= (${now}::timestamptz at time zone 'UTC')::date - 90`.execute(db)
  const { rows: open } = await sql<{ state_since: Date; is_online: boolean }>`
    select state_since, state = 'online' as is_online from session
    where id = ${sessionId} and company_id = ${companyId} and desired = 'running' and ${MEANT_TO_BE_ONLINE}`.execute(db)
  const over = (spanDays: number): number | null => {
    const from = now.getTime() - spanDays * DAY_MS
    let online = 0
    let meant = 0
    for (const { day, online_ms, meant_ms } of days) {
      const share = Math.min(1, Math.max(0, (Date.parse(day) + DAY_MS - from) / DAY_MS))
      online += online_ms * share
      meant += meant_ms * share
    }
    for (const { state_since, is_online } of open) {
      const lasts = Math.max(0, now.getTime() - Math.max(from, state_since.getTime()))
      meant += lasts
      if (is_online) online += lasts
    }
    return meant > 0 ? online / meant : null
  }
  return { last24Hours: over(1), last30Days: over(30), last90Days: over(90) }
}
