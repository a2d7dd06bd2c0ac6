import { type Kysely, type Selectable, sql } from 'kysely'
import type { Database } from './database.ts'
import type { Schema } from './schema-types.ts'

/** When a session was last used. What is left out stays as it is. */
export interface SessionActivity {
  sessionId: string
  companyId: string
  lastInboundAt?: Date | undefined
  lastOutboundAt?: Date | undefined
  phoneSeenAt?: Date | undefined
}

/** Moves the moments forward, never back. A session that is gone is passed over. */
export async function storeSessionActivity({ worker }: Database, activity: readonly SessionActivity[]): Promise<void> {
  // In one order for all processes, so that two of them never wait for each other.
  const rows = activity.toSorted((a, b) => (a.sessionId < b.sessionId ? -1 : 1))
  await sql`
    insert into session_activity as stored (session_id, company_id, last_inbound_at, last_outbound_at, phone_seen_at)
    select session.id, session.company_id, last_inbound_at, last_outbound_at, phone_seen_at
    from unnest(
      ${rows.map(({ sessionId }) => sessionId)}::uuid[],
      ${rows.map(({ lastInboundAt }) => lastInboundAt ?? null)}::timestamptz[],
      ${rows.map(({ lastOutboundAt }) => lastOutboundAt ?? null)}::timestamptz[],
      ${rows.map(({ phoneSeenAt }) => phoneSeenAt ?? null)}::timestamptz[]
    ) as activity (session_id, last_inbound_at, last_outbound_at, phone_seen_at)
    join session on session.id = activity.session_id
    on conflict (session_id) do update set
      last_inbound_at = greatest(stored.last_inbound_at, excluded.last_inbound_at),
      last_outbound_at = greatest(stored.last_outbound_at, excluded.last_outbound_at),
      phone_seen_at = greatest(stored.phone_seen_at, excluded.phone_seen_at)`.execute(worker)
}

/** Undefined for a session that was never used. */
export const readSessionActivity = (
  companyId: string,
  db: Kysely<Schema>,
  sessionId: string,
): Promise<
  Pick<Selectable<Schema['session_activity']>, 'last_inbound_at' | 'last_outbound_at' | 'phone_seen_at'> | undefined
> =>
  db
    .selectFrom('session_activity')
    .select(['last_inbound_at', 'last_outbound_at', 'phone_seen_at'])
    .where('company_id', '=', companyId)
    .where('session_id', '=', sessionId)
    .executeTakeFirst()

/** A linked session whose phone has not been seen for long, or has been seen again although an alert says that it has not. */
export interface PhoneSilence {
  sessionId: string
  companyId: string
  seenAt: Date
  isSilent: boolean
}

/** Sessions whose alert `phone_silent` does not say what is true: it is to be raised or cleared. */
export async function findPhoneSilence({ worker }: Database, silentDays: number): Promise<PhoneSilence[]> {
  const { rows } = await sql<PhoneSilence>`
    select session.id as "sessionId", session.company_id as "companyId", seen.at as "seenAt", seen.is_silent as "isSilent"
    from session
    left join session_activity as activity on activity.session_id = session.id
    left join alert on alert.session_id = session.id and alert.kind = 'phone_silent' and alert.cleared_at is null
    cross join lateral (
      select at, session.linked_at is not null and at < now() - make_interval(days => ${silentDays}) as is_silent
      from (select greatest(activity.phone_seen_at, session.linked_at, session.created_at) as at) as newest
    ) as seen
    where session.deleted_at is null and seen.is_silent <> (alert.id is not null)`.execute(worker)
  return rows
}
