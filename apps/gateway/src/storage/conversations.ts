import type { ConversationReason, ConversationState, ResponderSettings } from '@frontdesk/api-contract'
import { type Kysely, type Selectable, type SelectQueryBuilder, sql } from 'kysely'
import { newId } from '#src/model/ids.ts'
import { newestAlias } from './newest-alias.ts'
import type { Schema } from './schema-types.ts'

export interface ConversationFilter {
  state?: ConversationState | undefined
  sessionId?: string | undefined
  /** Also one that was merged into another. */
  contactId?: string | undefined
  assignee?: string | undefined
  label?: string | undefined
  /** The last id of the page before. */
  before?: string | undefined
  limit: number
}

/** What is undefined stays. */
export interface ConversationChange {
  answering?: {
    state: ConversationState
    reason: ConversationReason
    detail: string | null
    returnsAt: Date | null
  }
  /** Who is given back to the bot begins to count anew. */
  countsAnew?: boolean
  returnsAt?: Date | null
  assignee?: string | null
  labels?: readonly string[]
  responders?: readonly ResponderSettings[] | null
}

const selectConversations = (db: Kysely<Schema>) =>
  db
    .selectFrom('conversation')
    .selectAll('conversation')
    .select([
      sql<string | null>`(select name from contact where contact.id = conversation.contact_id)`.as('contact_name'),
      newestAlias('phone', sql`conversation.contact_id`).as('contact_phone'),
      newestAlias('lid', sql`conversation.contact_id`).as('contact_lid'),
    ])

type Row<Query> = Query extends SelectQueryBuilder<infer _Schema, infer _Tables, infer Output> ? Output : never
export type ListedConversation = Row<ReturnType<typeof selectConversations>>
export type ConversationNoteRow = Selectable<Schema['conversation_note']>

export const findConversation = (
  companyId: string,
  db: Kysely<Schema>,
  conversationId: string,
): Promise<ListedConversation | undefined> =>
  selectConversations(db).where('company_id', '=', companyId).where('id', '=', conversationId).executeTakeFirst()

/** The conversation, kept from other changes until the transaction ends. */
export const lockConversation = (
  companyId: string,
  db: Kysely<Schema>,
  conversationId: string,
): Promise<ListedConversation | undefined> =>
  selectConversations(db)
    .where('company_id', '=', companyId)
    .where('id', '=', conversationId)
    .forUpdate('conversation')
    .executeTakeFirst()

/** Those that began last come first. */
export function listConversations(
  companyId: string,
  db: Kysely<Schema>,
  { state, sessionId, contactId, assignee, label, before, limit }: ConversationFilter,
): Promise<ListedConversation[]> {
  let query = selectConversations(db).where('company_id', '=', companyId).orderBy('id', 'desc').limit(limit)
  if (state !== undefined) query = query.where('state', '=', state)
  if (sessionId !== undefined) query = query.where('session_id', '=', sessionId)
  if (assignee !== undefined) query = query.where('assignee', '=', assignee)
  if (label !== undefined) query = query.where(sql<boolean>`labels @> array[${label}]`)
  if (before !== undefined) query = query.where('id', '<', before)
  if (contactId !== undefined) {
    const survivor = sql<string>`coalesce((select merged_into from contact where id = ${contactId}), ${contactId}::uuid)`
    query = query.where('contact_id', '=', survivor)
  }
  return query.execute()
}

/** Its events, and what else follows, come of triggers. */
export async function updateConversation(
  companyId: string,
  db: Kysely<Schema>,
  conversationId: string,
  { answering, countsAnew, returnsAt, assignee, labels, responders }: ConversationChange,
): Promise<void> {
  const values = {
    ...(answering && {
      ...{ state: answering.state, reason: answering.reason, detail: answering.detail },
      ...{ returns_at: answering.returnsAt, state_since: new Date() },
    }),
    ...(countsAnew === true && { turns: 0, cost_micros: 0 }),
    ...(returnsAt !== undefined && { returns_at: returnsAt }),
    ...(assignee !== undefined && { assignee }),
    ...(labels !== undefined && { labels: [...labels] }),
    ...(responders !== undefined && { responders: responders && JSON.stringify(responders) }),
  }
  if (Object.keys(values).length === 0) return
  await db
    .updateTable('conversation')
    .set(values)
    .where('company_id', '=', companyId)
    .where('id', '=', conversationId)
    .execute()
}

/**
 * Gives back to the bot what has waited for a person, or was with one, until `now`: of all companies, at most `limit`.
 * Returns how many.
 */
export async function returnConversations(
  db: Kysely<Schema>,
  { now, limit }: { now: Date; limit: number },
): Promise<number> {
  const { numAffectedRows = 0n } = await sql`
    update conversation set state = 'bot', reason = 'timed_out', detail = null, state_since = now(), returns_at = null,
      assignee = null, turns = 0, cost_micros = 0
    where id = any (array(
      select id from conversation where returns_at <= ${now} order by returns_at limit ${limit} for update skip locked))
  `.execute(db)
  return Number(numAffectedRows)
}

export const insertConversationNote = (
  companyId: string,
  db: Kysely<Schema>,
  { conversationId, author, text }: { conversationId: string; author: string | null; text: string },
): Promise<ConversationNoteRow> =>
  db
    .insertInto('conversation_note')
    .values({ id: newId(), company_id: companyId, conversation_id: conversationId, author, text })
    .returningAll()
    .executeTakeFirstOrThrow()

/** Newest first. */
export function listConversationNotes(
  companyId: string,
  db: Kysely<Schema>,
  { conversationId, before, limit }: { conversationId: string; before?: string | undefined; limit: number },
): Promise<ConversationNoteRow[]> {
  let query = db
    .selectFrom('conversation_note')
    .selectAll()
    .where('company_id', '=', companyId)
    .where('conversation_id', '=', conversationId)
    .orderBy('id', 'desc')
    .limit(limit)
  if (before !== undefined) query = query.where('id', '<', before)
  return query.execute()
}
