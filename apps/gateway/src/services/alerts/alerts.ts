import type { Alert, AlertQuery, List } from '@frontdesk/api-contract'
import type { Logger } from 'pino'
import { backoffMs, pause } from '#src/services/lanes/backoff.ts'
import { type AlertRow, type AlertSubject, clearAlert, listAlerts, raiseAlert } from '#src/storage/alerts.ts'
import type { Database } from '#src/storage/database.ts'

const STORE_AGAIN = { firstMs: 250, maxMs: 10_000 }
/** While the database is away, the newest are kept. */
const MAX_WAITING = 1000

type Report = { subject: AlertSubject; detail: Record<string, unknown> | undefined }

/**
 * What people should know of. Whoever finds something says so at once and goes on; it is stored in the order in which it
 * was said, when the database takes it.
 */
export class Alerts implements AsyncDisposable {
  readonly #database: Database
  readonly #log: Logger
  readonly #ending = new AbortController()
  readonly #waiting: Report[] = []
  #storing: Promise<void> | undefined

  constructor({ database, log }: { database: Database; log: Logger }) {
    this.#database = database
    this.#log = log
  }

  /** Raised once for its subject, however often it is said. */
  raise(subject: AlertSubject, detail: Record<string, unknown> = {}): void {
    this.#say({ subject, detail })
  }

  clear(subject: AlertSubject): void {
    this.#say({ subject, detail: undefined })
  }

  /** A company's alerts, newest first. */
  list(companyId: string, query: AlertQuery): Promise<List<Alert>> {
    return this.#database.asCompany(companyId, (db) =>
      this.#page((limit) => listAlerts(db, { ...of(query), companyId, limit }), query),
    )
  }

  /** Those of the platform and of all companies, newest first. */
  listAll(query: AlertQuery): Promise<List<Alert>> {
    return this.#page((limit) => listAlerts(this.#database.worker, { ...of(query), limit }), query)
  }

  /** Resolves when everything said so far is stored. */
  async stored(): Promise<void> {
    while (this.#storing !== undefined) await this.#storing
  }

  /** What the database does not take now is lost: the condition is found again by whoever looks next. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort()
    await this.stored()
  }

  async #page(read: (limit: number) => Promise<AlertRow[]>, { limit }: AlertQuery): Promise<List<Alert>> {
    const rows = await read(limit + 1)
    const items = rows.slice(0, limit).map(toAlert)
    return { items, next: rows.length > limit ? (items.at(-1)?.id ?? null) : null }
  }

  #say(report: Report): void {
    this.#waiting.push(report)
    if (this.#waiting.length > MAX_WAITING) this.#waiting.shift()
    this.#storing ??= this.#store().finally(() => {
      this.#storing = undefined
    })
  }

  async #store(): Promise<void> {
    for (let failures = 0; ; ) {
      const [report] = this.#waiting
      if (report === undefined) return
      try {
        await this.#database.worker
          .transaction()
          .execute((db) =>
            report.detail === undefined
              ? clearAlert(db, report.subject)
              : raiseAlert(db, report.subject, report.detail),
          )
        // It is not there any more when newer ones have pushed it out.
        if (this.#waiting[0] === report) this.#waiting.shift()
        failures = 0
      } catch (err) {
        if (this.#ending.signal.aborted) return
        failures += 1
        this.#log.warn({ err, ...report.subject }, 'An alert could not be stored; trying again.')
        await pause(backoffMs(failures, STORE_AGAIN), this.#ending.signal)
      }
    }
  }
}

const of = ({ state, cursor }: AlertQuery) => ({ state, ...(cursor !== undefined && { cursor }) })

const toAlert = (row: AlertRow): Alert => ({
  id: row.id,
  kind: row.kind,
  companyId: row.company_id,
  sessionId: row.session_id,
  webhookEndpointId: row.endpoint_id,
  conversationId: row.conversation_id,
  detail: row.detail,
  raisedAt: row.raised_at.toISOString(),
  clearedAt: row.cleared_at?.toISOString() ?? null,
})
