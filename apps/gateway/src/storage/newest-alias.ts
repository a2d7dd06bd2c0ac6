import { type RawBuilder, sql } from 'kysely'

/** The contact's address of this kind that was added last, as a subquery: of several, it is the one in use. */
export const newestAlias = (kind: 'phone' | 'lid', contactId: RawBuilder<unknown>): RawBuilder<string | null> =>
  sql`(select value from contact_alias where contact_id = ${contactId} and kind = ${kind} order by created_at desc limit 1)`
