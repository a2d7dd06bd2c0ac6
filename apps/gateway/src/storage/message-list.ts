import { type Kysely, type SelectQueryBuilder, sql } from 'kysely'
import { newestAlias } from './newest-alias.ts'
import type { Schema } from './schema-types.ts'

export interface MessageFilter {
  sessionId?: string | undefined
  /** Also one that was merged into another. */
  contactId?: string | undefined
  /** The last id of the page before. */
  before?: string | undefined
  limit: number
}

/** As a subquery, like the addresses: they are looked up for the page alone, however the planner judges a join. */
const contactName = sql<string | null>`(select name from contact where contact.id = message.contact_id)`

/** Messages with the names and addresses of their contacts. */
const selectMessages = (db: Kysely<Schema>) =>
  db
    .selectFrom('message')
    .select([
      'message.id',
      'message.company_id',
      'message.session_id',
      'message.contact_id',
      'message.direction',
      'message.origin',
      'message.status',
      'message.content',
      'message.whatsapp_id',
      'message.turn_id',
      'message.error_code',
      'message.next_attempt_at',
      'message.wait_reason',
      'message.expires_at',
      'message.created_at',
      'message.sent_at',
      'message.delivered_at',
      'message.read_at',
      contactName.as('contact_name'),
      newestAlias('phone', sql`message.contact_id`).as('contact_phone'),
      newestAlias('lid', sql`message.contact_id`).as('contact_lid'),
    ])

type Row<Query> = Query extends SelectQueryBuilder<infer _Schema, infer _Tables, infer Output> ? Output : never
export type ListedMessage = Row<ReturnType<typeof selectMessages>>

export const findMessage = (
  companyId: string,
  db: Kysely<Schema>,
  messageId: string,
): Promise<ListedMessage | undefined> =>
  selectMessages(db).where('message.company_id', '=', companyId).where('message.id', '=', messageId).executeTakeFirst()

/** For whoever works for all companies: each message says whose it is. */
export const readMessages = (db: Kysely<Schema>, messageIds: readonly string[]): Promise<ListedMessage[]> =>
  selectMessages(db)
    .where(sql<boolean>`message.id = any (${[...messageIds]}::uuid[])`)
    .execute()

/** Newest first. */
export function listMessages(companyId: string, db: Kysely<Schema>, filter: MessageFilter): Promise<ListedMessage[]> {
  let query = selectMessages(db)
    .where('message.company_id', '=', companyId)
    .orderBy('message.id', 'desc')
    .limit(filter.limit)
  if (filter.sessionId !== undefined) query = query.where('message.session_id', '=', filter.sessionId)
  if (filter.before !== undefined) query = query.where('message.id', '<', filter.before)
  if (filter.contactId !== undefined) {
    const survivor = sql<string>`coalesce((select merged_into from contact where id = ${filter.contactId}), ${filter.contactId}::uuid)`
    query = query.where('message.contact_id', '=', survivor)
  }
  return query.execute()
}
