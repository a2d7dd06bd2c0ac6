import { type Kysely, sql, type Transaction } from 'kysely'
import { appendEvents } from './events.ts'
import { failForOptOut } from './messages.ts'
import type { Schema } from './schema-types.ts'

/**
 * Notes whether a contact wants messages, with the event; what waits for one that does not fails. False if nothing has
 * changed. Of a contact that has been merged, nothing is noted.
 */
export async function setOptOut(
  companyId: string,
  db: Transaction<Schema>,
  { contactId, isOptedOut }: { contactId: string; isOptedOut: boolean },
): Promise<boolean> {
  // It waits for messages that are being accepted, which hold the contact's row; the next statement sees them.
  const { numUpdatedRows } = await db
    .updateTable('contact')
    .set({ opted_out_at: isOptedOut ? new Date() : null })
    .where('company_id', '=', companyId)
    .where('id', '=', contactId)
    .where('merged_into', 'is', null)
    .where('opted_out_at', isOptedOut ? 'is' : 'is not', null)
    .executeTakeFirstOrThrow()
  if (numUpdatedRows === 0n) return false
  const type = isOptedOut ? 'contact.opted_out' : 'contact.opted_in'
  await appendEvents(db, [{ companyId, type, subjectId: contactId }])
  if (isOptedOut) await failForOptOut(db, contactId)
  return true
}

/** Which of these contacts, of whatever companies, want no messages; of one that has been merged, what the other wants. */
export async function readOptedOut(db: Kysely<Schema>, contactIds: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select contact.id from contact join contact canonical on canonical.id = coalesce(contact.merged_into, contact.id)
    where contact.id = any (${[...contactIds]}::uuid[]) and canonical.opted_out_at is not null`.execute(db)
  return rows.map(({ id }) => id)
}
