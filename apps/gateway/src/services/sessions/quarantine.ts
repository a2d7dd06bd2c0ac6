import { LRUCache } from 'lru-cache'
import type { AlertSubject } from '#src/storage/alerts.ts'
import type { Database } from '#src/storage/database.ts'
import type { Lease } from '#src/storage/leases.ts'
import { countReason } from '#src/storage/session-states.ts'

/** So often a session may end its process in so long. */
const MAX_CRASHES = 3
const CRASHES_WITHIN_MS = 60 * 60_000
/** Rows are refused for good when they are again, after the session was taken up anew from the database. */
const REFUSED_AGAIN_WITHIN_MS = 10 * 60_000
const MAX_REFUSED = 10_000

export interface QuarantineOptions {
  database: Database
  alerts: { raise(subject: AlertSubject, detail?: Record<string, unknown>): void; clear(subject: AlertSubject): void }
}

/** Decides when a session has to be stopped so that the others go on, and says so by an alert. */
export class Quarantine {
  readonly #options: QuarantineOptions
  readonly #refused = new LRUCache<string, true>({ max: MAX_REFUSED, ttl: REFUSED_AGAIN_WITHIN_MS })

  constructor(options: QuarantineOptions) {
    this.#options = options
  }

  /** The database has refused the session's rows. False if that may have been a race: then it is tried once more. */
  refusesAgain(lease: Lease): boolean {
    const isAgain = this.#refused.delete(lease.sessionId)
    if (isAgain) this.#raise(lease, 'rows_refused')
    else this.#refused.set(lease.sessionId, true)
    return isAgain
  }

  /** Whether a session that has ended its last process has done so too often. */
  async crashesOften(lease: Lease): Promise<boolean> {
    const { sessionId, companyId } = lease
    const count = { sessionId, reason: 'crashed', withinMs: CRASHES_WITHIN_MS } as const
    const isOften = (await countReason(companyId, this.#options.database.worker, count)) >= MAX_CRASHES
    if (isOften) this.#raise(lease, 'crashed_often')
    return isOften
  }

  /** The session is online again; `formerReason` is why it was not. */
  left({ sessionId, companyId }: Lease, formerReason: string | null): void {
    if (formerReason === 'rows_refused' || formerReason === 'crashed_often')
      this.#options.alerts.clear({ kind: 'session_quarantined', companyId, sessionId })
  }

  #raise({ sessionId, companyId }: Lease, reason: string): void {
    this.#options.alerts.raise({ kind: 'session_quarantined', companyId, sessionId }, { reason })
  }
}
