import { sql, type Transaction } from 'kysely'
import { appendEvents } from './events.ts'
import { setOptOut } from './opt-outs.ts'
import type { Schema } from './schema-types.ts'

/**
 * Makes two contacts one: the older takes over the younger's addresses, messages, turns and conversations, and the younger points to it
 * for ever. Returns the one that remains.
 */
export async function mergeContacts(
  companyId: string,
  db: Transaction<Schema>,
  one: string,
  other: string,
): Promise<string> {
  // Ids sort by age. In that order everybody locks them; nobody stores a message for one of them meanwhile.
  const [remaining = one, gone = other] = [one, other].sort()
  const { rows } = await sql<{ name: string | null; merged_into: string | null; opted_out_at: Date | null }>`
    select name, merged_into, opted_out_at from contact where id in (${remaining}, ${gone}) order by id for update`.execute(
    db,
  )
  const [older, younger] = rows
  // Somebody else has merged them: with each other, or with a third.
  if (!older || !younger) throw new Error('a contact to be merged does not exist')
  if (older.merged_into !== null || younger.merged_into !== null) {
    if (younger.merged_into === remaining) return remaining
    throw new ContactChangedError()
  }
  await sql`update contact_alias set contact_id = ${remaining} where contact_id = ${gone}`.execute(db)
  // The same message stored twice, once for each address: pending perhaps in the one that stays, and readable in the other.
  await sql`
    with resolved as (
      update message as kept set content = copy.content, raw = copy.raw, envelope = copy.envelope,
        ciphertext_hash = copy.ciphertext_hash, is_answerable = copy.is_answerable, turn_id = copy.turn_id
      from message as copy
      where copy.contact_id = ${gone} and kept.contact_id = ${remaining}
        and kept.session_id = copy.session_id and kept.direction = copy.direction
        and kept.whatsapp_id = copy.whatsapp_id
        and kept.content->>'kind' = 'pending' and copy.content->>'kind' <> 'pending'
      returning kept.company_id, kept.session_id, kept.id, kept.contact_id, kept.direction, kept.is_answerable
    )
    insert into event (company_id, type, session_id, subject_id, data)
    select company_id, 'message.resolved', session_id, id,
      jsonb_build_object('contactId', contact_id, 'direction', direction, 'isAnswerable', is_answerable)
    from resolved`.execute(db)
  await sql`
    delete from message using message as kept
    where message.contact_id = ${gone} and kept.contact_id = ${remaining}
      and kept.session_id = message.session_id and kept.direction = message.direction
      and kept.whatsapp_id = message.whatsapp_id`.execute(db)
  await sql`update message set contact_id = ${remaining} where contact_id = ${gone}`.execute(db)
  await sql`update turn set contact_id = ${remaining} where contact_id = ${gone}`.execute(db)
  await mergeConversations(companyId, db, remaining, gone)
  await sql`
    update contact set merged_into = ${remaining}
    where company_id = ${companyId} and (id = ${gone} or merged_into = ${gone})`.execute(db)
  if (older.name === null && younger.name !== null)
    await sql`update contact set name = ${younger.name} where id = ${remaining}`.execute(db)
  // Whichever of them has said to want no messages: the person did.
  if (older.opted_out_at === null && younger.opted_out_at !== null)
    await setOptOut(companyId, db, { contactId: remaining, isOptedOut: true })
  await appendEvents(db, [{ companyId, type: 'contact.merged', subjectId: gone, data: { into: remaining } }])
  return remaining
}

/**
 * A session has one conversation with a person. Of two, the older contact's stays, with what was noted about either; the
 * one that a person answers in says who answers, for nobody must be talked over.
 */
async function mergeConversations(
  companyId: string,
  db: Transaction<Schema>,
  remaining: string,
  gone: string,
): Promise<void> {
  const { rows } = await sql<{ kept: string; other: string }>`
    select kept.id as kept, other.id as other
    from conversation kept join conversation other using (company_id, session_id)
    where company_id = ${companyId} and kept.contact_id = ${remaining} and other.contact_id = ${gone}
    order by session_id for update of kept, other`.execute(db)
  for (const { kept, other } of rows) {
    await sql`update conversation_note set conversation_id = ${kept} where conversation_id = ${other}`.execute(db)
    await sql`update turn set conversation_id = ${kept} where conversation_id = ${other}`.execute(db)
    await sql`
      update conversation kept set turns = kept.turns + other.turns, cost_micros = kept.cost_micros + other.cost_micros,
        labels = array(
          select distinct label from unnest(kept.labels || other.labels) as each (label) order by label limit 20),
        responders = coalesce(kept.responders, other.responders)
      from conversation other where kept.id = ${kept} and other.id = ${other}`.execute(db)
    await sql`
      update conversation kept set state = other.state, reason = other.reason, detail = other.detail,
        state_since = other.state_since, returns_at = other.returns_at, assignee = other.assignee
      from conversation other where kept.id = ${kept} and other.id = ${other}
        and array_position(${PRECEDENCE}::text[], other.state) < array_position(${PRECEDENCE}::text[], kept.state)
    `.execute(db)
    await sql`
      update alert set conversation_id = ${kept} where conversation_id = ${other}
        and not exists (select from alert same where same.conversation_id = ${kept} and same.cleared_at is null)`.execute(
      db,
    )
    await sql`delete from conversation where id = ${other}`.execute(db)
  }
  await sql`update conversation set contact_id = ${remaining} where contact_id = ${gone}`.execute(db)
}

const PRECEDENCE = ['human', 'waiting', 'bot', 'closed']

/** The contacts are not what they were when the merge was decided: decide again. */
export class ContactChangedError extends Error {}
