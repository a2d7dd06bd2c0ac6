import type { List, TurnDetails, TurnQuery, TurnResource } from '@frontdesk/api-contract'
import { FrontdeskError } from '#src/model/errors.ts'
import type { Database } from '#src/storage/database.ts'
import { findTurn, type ListedTurn, listTurns } from '#src/storage/turn-traces.ts'

/** Reads how a company's customers were answered, and why so. */
export class TurnReader {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** @throws FrontdeskError `not_found` */
  async get(companyId: string, turnId: string): Promise<TurnDetails> {
    const row = await this.#database.asCompany(companyId, (db) => findTurn(companyId, db, turnId))
    if (row === undefined) throw new FrontdeskError('not_found')
    return { ...toTurn(row), trace: row.trace }
  }

  /** Newest first. */
  async list(companyId: string, { cursor, limit, ...filter }: TurnQuery): Promise<List<TurnResource>> {
    const rows = await this.#database.asCompany(companyId, (db) =>
      listTurns(companyId, db, { ...filter, before: cursor, limit: limit + 1 }),
    )
    const items = rows.slice(0, limit).map(toTurn)
    return { items, next: rows.length > limit ? (items.at(-1)?.id ?? null) : null }
  }
}

const toTurn = (row: ListedTurn): TurnResource => ({
  id: row.id,
  sessionId: row.session_id,
  contactId: row.contact_id,
  conversationId: row.conversation_id,
  state: row.state === 'open' && row.held_until !== null ? 'held' : row.state,
  responder: row.responder,
  code: row.error_code,
  heldUntil: row.held_until?.toISOString() ?? null,
  received: row.received,
  sent: row.sent,
  createdAt: row.created_at.toISOString(),
  closedAt: row.closed_at?.toISOString() ?? null,
})
