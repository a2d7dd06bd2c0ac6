import { type List, MESSAGE_MODEL_VERSION, type MessageResource } from '@frontdesk/api-contract'
import { ERRORS, type ErrorCode, FrontdeskError } from '#src/model/errors.ts'
import type { Database } from '#src/storage/database.ts'
import { findMessage, type ListedMessage, listMessages } from '#src/storage/message-list.ts'

/** Reads a company's messages as the API shows them. */
export class MessageReader {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** @throws FrontdeskError `not_found` */
  async get(companyId: string, messageId: string): Promise<MessageResource> {
    const row = await this.#database.asCompany(companyId, (db) => findMessage(companyId, db, messageId))
    if (row === undefined) throw new FrontdeskError('not_found')
    return toMessage(row)
  }

  /** Newest first. */
  async list(
    companyId: string,
    query: {
      sessionId?: string | undefined
      contactId?: string | undefined
      limit: number
      cursor?: string | undefined
    },
  ): Promise<List<MessageResource>> {
    const { cursor, limit, ...filter } = query
    const rows = await this.#database.asCompany(companyId, (db) =>
      listMessages(companyId, db, { ...filter, before: cursor, limit: limit + 1 }),
    )
    const items = rows.slice(0, limit).map(toMessage)
    return { items, next: rows.length > limit ? (items.at(-1)?.id ?? null) : null }
  }
}

/** A message as the API shows it. */
export const toMessage = (row: ListedMessage): MessageResource => ({
  id: row.id,
  modelVersion: MESSAGE_MODEL_VERSION,
  sessionId: row.session_id,
  contact: { id: row.contact_id, phone: row.contact_phone, lid: row.contact_lid, name: row.contact_name },
  direction: row.direction,
  origin: row.origin,
  status: row.status,
  content: row.content,
  whatsappId: row.whatsapp_id,
  turnId: row.turn_id,
  error: row.error_code === null ? null : { code: row.error_code, title: titleOf(row.error_code) },
  nextAttemptAt: row.status === 'queued' ? (row.next_attempt_at?.toISOString() ?? null) : null,
  waitReason: row.status === 'queued' ? row.wait_reason : null,
  expiresAt: row.expires_at?.toISOString() ?? null,
  createdAt: row.created_at.toISOString(),
  sentAt: row.sent_at?.toISOString() ?? null,
  deliveredAt: row.delivered_at?.toISOString() ?? null,
  readAt: row.read_at?.toISOString() ?? null,
})

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERRORS, code)

/** The catalogue's sentence; another version's code, which this one does not know, speaks for itself. */
const titleOf = (code: string): string => (isErrorCode(code) ? ERRORS[code].title : code)
