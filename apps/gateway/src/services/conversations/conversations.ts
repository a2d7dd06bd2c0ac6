import {
  type Conversation,
  type ConversationNote,
  type ConversationQuery,
  type CreateConversationNote,
  companySettings,
  type List,
  type UpdateConversation,
} from '@frontdesk/api-contract'
import type { Transaction } from 'kysely'
import { FrontdeskError } from '#src/model/errors.ts'
import { sanitizeText } from '#src/model/text.ts'
import type { Actor } from '#src/services/security/actor.ts'
import { appendAudit } from '#src/storage/audit.ts'
import { readCompanySettings } from '#src/storage/companies.ts'
import {
  type ConversationChange,
  type ConversationNoteRow,
  findConversation,
  insertConversationNote,
  type ListedConversation,
  listConversationNotes,
  listConversations,
  lockConversation,
  updateConversation,
} from '#src/storage/conversations.ts'
import type { Database } from '#src/storage/database.ts'
import { appendEvents } from '#src/storage/events.ts'
import type { Schema } from '#src/storage/schema-types.ts'
import { nextAnswering } from './conversation-state.ts'
import { handoffTimes } from './handoff-times.ts'

export interface ConversationsOptions {
  database: Database
  /** Told after the commit that somebody else answers in the chat now. */
  onTakenOver: (sessionId: string, contactId: string) => void
}

/** Who answers in a company's chats, as its people see and change it. */
export class Conversations {
  readonly #database: Database
  readonly #onTakenOver: ConversationsOptions['onTakenOver']

  constructor({ database, onTakenOver }: ConversationsOptions) {
    this.#database = database
    this.#onTakenOver = onTakenOver
  }

  /** Those that began last come first. */
  async list(companyId: string, { cursor, limit, ...filter }: ConversationQuery): Promise<List<Conversation>> {
    const rows = await this.#database.asCompany(companyId, (db) =>
      listConversations(companyId, db, { ...filter, before: cursor, limit: limit + 1 }),
    )
    return pageOf(rows.map(toConversation), limit)
  }

  /** @throws FrontdeskError `not_found` */
  async get(companyId: string, conversationId: string): Promise<Conversation> {
    const row = await this.#database.asCompany(companyId, (db) => findConversation(companyId, db, conversationId))
    return toConversation(found(row))
  }

  /** What is left out stays. @throws FrontdeskError `not_found`, `invalid_request` */
  async update(
    companyId: string,
    conversationId: string,
    change: UpdateConversation,
    { apiKeyId }: Actor,
  ): Promise<Conversation> {
    await this.get(companyId, conversationId)
    // Not as the company: what follows of a change touches messages and turns.
    const after = await this.#database.worker.transaction().execute(async (db) => {
      const before = found(await lockConversation(companyId, db, conversationId))
      await updateConversation(companyId, db, conversationId, {
        ...(await answeringAfter(db, before, change)),
        ...(change.labels !== undefined && { labels: [...new Set(change.labels)] }),
        ...(change.responders !== undefined && { responders: change.responders }),
      })
      const changed = Object.keys(change)
      const audit = { companyId, apiKeyId, action: 'conversation.updated', subjectId: conversationId } as const
      if (changed.length > 0) await appendAudit(db, { ...audit, detail: { changed } })
      return found(await findConversation(companyId, db, conversationId))
    })
    if (change.state !== undefined) this.#onTakenOver(after.session_id, after.contact_id)
    return toConversation(after)
  }

  /** @throws FrontdeskError `not_found` */
  addNote(
    companyId: string,
    conversationId: string,
    { author, text }: CreateConversationNote,
    { apiKeyId }: Actor,
  ): Promise<ConversationNote> {
    return this.#database.asCompany(companyId, async (db) => {
      const { session_id: sessionId, contact_id: contactId } = found(
        await findConversation(companyId, db, conversationId),
      )
      const row = await insertConversationNote(companyId, db, {
        ...{ conversationId, text: sanitizeText(text) },
        author: author === undefined ? null : sanitizeText(author),
      })
      const data = { contactId, noteId: row.id }
      const event = { companyId, type: 'conversation.note_added', sessionId, subjectId: conversationId, data }
      await appendEvents(db, [event])
      await appendAudit(db, { companyId, apiKeyId, action: 'conversation.note_added', subjectId: conversationId })
      return toNote(row)
    })
  }

  /** Newest first. @throws FrontdeskError `not_found` */
  async notes(
    companyId: string,
    conversationId: string,
    { cursor, limit }: { cursor?: string | undefined; limit: number },
  ): Promise<List<ConversationNote>> {
    const rows = await this.#database.asCompany(companyId, async (db) => {
      found(await findConversation(companyId, db, conversationId))
      return await listConversationNotes(companyId, db, { conversationId, before: cursor, limit: limit + 1 })
    })
    return pageOf(rows.map(toNote), limit)
  }
}

async function answeringAfter(
  db: Transaction<Schema>,
  before: ListedConversation,
  { state, returnsAt, assignee }: UpdateConversation,
): Promise<ConversationChange> {
  const isWithPeople = ['waiting', 'human'].includes(state ?? before.state)
  if (returnsAt != null && !isWithPeople) {
    throw new FrontdeskError('invalid_request', '`returnsAt` is for conversations that wait for or are with a person.')
  }
  const set = typeof returnsAt === 'string' ? new Date(returnsAt) : returnsAt
  if (state === undefined) {
    return {
      ...(set !== undefined && isWithPeople && { returnsAt: set }),
      ...(assignee !== undefined && { assignee }),
    }
  }
  const { data: settings } = companySettings.safeParse(await readCompanySettings(before.company_id, db))
  const { waitingMs, pauseMs } = handoffTimes(settings?.handoff)
  const untilMs = Date.now() + (state === 'waiting' ? waitingMs : pauseMs)
  const after = nextAnswering(toAnswering(before), {
    kind: 'set_by_api',
    state,
    returnsAt: set === undefined ? new Date(untilMs) : set,
    assignee: assignee === undefined ? before.assignee : assignee,
  })
  return { answering: after, assignee: after.assignee, countsAnew: state === 'bot' && before.state !== 'bot' }
}

const toAnswering = ({ state, reason, detail, returns_at, assignee }: ListedConversation) => ({
  ...{ state, reason, detail, assignee },
  returnsAt: returns_at,
})

function found<Row>(row: Row | undefined): Row {
  if (row === undefined) throw new FrontdeskError('not_found')
  return row
}

/** Of one more than the page has. */
const pageOf = <Item extends { id: string }>(all: Item[], limit: number): List<Item> => {
  const items = all.slice(0, limit)
  return { items, next: all.length > limit ? (items.at(-1)?.id ?? null) : null }
}

const MICROS = 1_000_000

const toConversation = (row: ListedConversation): Conversation => ({
  id: row.id,
  sessionId: row.session_id,
  contact: { id: row.contact_id, phone: row.contact_phone, lid: row.contact_lid, name: row.contact_name },
  state: row.state,
  reason: row.reason,
  detail: row.detail,
  since: row.state_since.toISOString(),
  returnsAt: row.returns_at?.toISOString() ?? null,
  assignee: row.assignee,
  labels: row.labels,
  responders: row.responders,
  turns: row.turns,
  cost: Number(row.cost_micros) / MICROS,
  createdAt: row.created_at.toISOString(),
})

const toNote = ({ id, author, text, created_at }: ConversationNoteRow): ConversationNote => ({
  ...{ id, author, text },
  createdAt: created_at.toISOString(),
})
