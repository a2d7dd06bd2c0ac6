import type { Logger } from 'pino'
import { backoffMs, pause } from '#src/services/lanes/backoff.ts'
import type { Database } from '#src/storage/database.ts'
import { fenced, type Lease, LeaseLostError } from '#src/storage/leases.ts'
import {
  changeLinkingCode,
  changeSessionState,
  type StateChange,
  type StoredLinkingCode,
} from '#src/storage/sessions.ts'

const STORE_AGAIN = { firstMs: 250, maxMs: 10_000 }
/** A session that changes faster than the database can be told keeps its newest states. */
const MAX_WAITING = 100

/**
 * Writes a session's transitions in their order, each with its event, as long as the lease holds. A database that is
 * away is tried again until it is back.
 */
export class StateRecorder {
  readonly #database: Database
  readonly #log: Logger
  readonly #signal: AbortSignal
  readonly #waiting: (StateChange | StoredLinkingCode)[] = []
  #writing: Promise<void> | undefined

  /** Nothing more is tried once the signal is aborted. */
  constructor(database: Database, log: Logger, signal: AbortSignal) {
    this.#database = database
    this.#log = log
    this.#signal = signal
  }

  /** A transition, or the next code of a linking that goes on. */
  record(lease: Lease, change: StateChange | StoredLinkingCode): void {
    this.#waiting.push(change)
    if (this.#waiting.length > MAX_WAITING) this.#waiting.shift()
    this.#writing ??= this.#write(lease).finally(() => {
      this.#writing = undefined
    })
  }

  /** Resolves when everything is stored, or never will be. */
  async stored(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
  }

  async #write(lease: Lease): Promise<void> {
    for (let failures = 0; !this.#signal.aborted; ) {
      const [change] = this.#waiting
      if (change === undefined) return
      try {
        await fenced(this.#database, lease, (db) => {
          const { companyId, sessionId } = lease
          return 'state' in change
            ? changeSessionState(companyId, db, sessionId, change)
            : changeLinkingCode(companyId, db, sessionId, change)
        })
        this.#waiting.splice(this.#waiting.indexOf(change), 1)
        failures = 0
      } catch (err) {
        if (err instanceof LeaseLostError) {
          // The new owner says what state the session is in.
          this.#waiting.length = 0
          return
        }
        failures += 1
        this.#log.warn({ err, sessionId: lease.sessionId }, "A session's state could not be stored; trying again.")
        await pause(backoffMs(failures, STORE_AGAIN), this.#signal)
      }
    }
  }
}
