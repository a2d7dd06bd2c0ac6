import type { PacingSettings } from '@frontdesk/api-contract'
import { type Kysely, sql } from 'kysely'
import { firstIdAt } from '#src/model/ids.ts'
import type { Schema } from './schema-types.ts'

/** What a session's pace depends on, as it stands now. */
export interface StoredPace {
  /** What was set for it, in the order in which the later goes before the earlier: company, session. */
  overrides: readonly PacingSettings[]
  /** Since when the company has its number linked. */
  linkedAt: Date
  /** Contacts first written to on the day asked for. */
  newContacts: number
  /** How often WhatsApp's refusals have halved the rate, and when the last time. */
  halvings: number
  throttledAt: Date | null
}

/** `day` is `YYYY-MM-DD`, of UTC. The number's first link is remembered for good. Undefined for a session that is gone. */
export async function readPace(
  companyId: string,
  db: Kysely<Schema>,
  { sessionId, day }: { sessionId: string; day: string },
): Promise<StoredPace | undefined> {
  const { rows } = await sql<{
    company: PacingSettings | null
    own: PacingSettings | null
    linked_at: Date | null
    new_contacts: number | null
    halvings: number | null
    throttled_at: Date | null
  }>`
    with number as (
      select id, company_id, phone, coalesce(linked_at, now()) as linked_at from session
      where company_id = ${companyId} and id = ${sessionId}
    ), noted as (
      insert into linked_number (company_id, phone, linked_at)
      select company_id, phone, linked_at from number where phone is not null
      on conflict do nothing
    )
    select company.settings -> 'sessions' -> 'pacing' as company, session.settings -> 'pacing' as own,
      coalesce(linked_number.linked_at, number.linked_at) as linked_at,
      case when pace.day = ${day}::date then pace.new_contacts else 0 end as new_contacts, pace.halvings, pace.throttled_at
    from number
    join session on session.id = number.id
    join company on company.id = number.company_id
    left join linked_number on linked_number.company_id = number.company_id and linked_number.phone = number.phone
    left join session_pace pace on pace.session_id = number.id`.execute(db)
  const [row] = rows
  if (row === undefined) return undefined
  return {
    // Checked when they were stored.
    overrides: [row.company ?? {}, row.own ?? {}],
    linkedAt: row.linked_at ?? new Date(),
    newContacts: row.new_contacts ?? 0,
    halvings: row.halvings ?? 0,
    throttledAt: row.throttled_at,
  }
}

/** What has been between the company and a contact. */
interface Acquaintance {
  /** The contact's newest message since the moment asked for. */
  lastInboundAt: Date | null
  /** Whether anything was ever sent or received. */
  isKnown: boolean
}

export async function readAcquaintance(
  db: Kysely<Schema>,
  { contactId, since }: { contactId: string; since: Date },
): Promise<Acquaintance> {
  const { rows } = await sql<Acquaintance>`
    select (
        select max(created_at) from message
        where contact_id = ${contactId} and id >= ${firstIdAt(since)} and direction = 'inbound' and origin = 'customer'
      ) as "lastInboundAt",
      exists (
        select from message
        where contact_id = ${contactId} and (direction = 'inbound' or status in ('sent', 'delivered', 'read', 'played'))
      ) as "isKnown"`.execute(db)
  return rows[0] ?? { lastInboundAt: null, isKnown: false }
}

/** One more contact is written to for the first time on this day. */
export async function countNewContact(
  companyId: string,
  db: Kysely<Schema>,
  { sessionId, day }: { sessionId: string; day: string },
): Promise<void> {
  await sql`
    insert into session_pace as pace (session_id, company_id, day, new_contacts)
    values (${sessionId}, ${companyId}, ${day}::date, 1)
    on conflict (session_id) do update set day = excluded.day,
      new_contacts = case when pace.day = excluded.day then pace.new_contacts + 1 else 1 end`.execute(db)
}

/** WhatsApp wants fewer messages of this session. */
export async function storeThrottling(
  companyId: string,
  db: Kysely<Schema>,
  { sessionId, halvings, at }: { sessionId: string; halvings: number; at: Date },
): Promise<void> {
  await sql`
    insert into session_pace (session_id, company_id, halvings, throttled_at)
    values (${sessionId}, ${companyId}, ${halvings}, ${at})
    on conflict (session_id) do update set halvings = excluded.halvings, throttled_at = excluded.throttled_at`.execute(
    db,
  )
}
