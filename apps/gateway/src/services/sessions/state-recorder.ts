import type { Logger } from 'pino'
import { backoffMs, pause } from '#src/services/lanes/backoff.ts'
import type { Database } from '#src/storage/database.ts'
import { fenced, type Lease, LeaseLostError } from '#src/storage/leases.ts'
import {
  changeLinkingCode,
  NumberTakenError,
  type StateChange,
  type StoredLinkingCode,
  storeLastTransition,
} from '#src/storage/session-states.ts'
import type { TransitionBatcher } from './transition-batcher.ts'

const STORE_AGAIN = { firstMs: 250, maxMs: 10_000 }
/** A session that changes faster than the database can be told keeps its newest states. */
const MAX_WAITING = 100

export interface StateRecorderOptions {
  database: Database
  transitions: Pick<TransitionBatcher, 'store'>
  log: Logger
  lease: Lease
  /** Nothing more is tried once it is aborted. */
  signal: AbortSignal
  /** What waits to be stored is dropped: another process owns the session, or another session the number. */
  onRefused: (reason: 'lease_lost' | 'number_taken') => void
}

/**
 * Writes a session's transitions in their order, each with its event, as long as the lease holds. A database that is
 * away is tried again until it is back.
 */
export class StateRecorder {
  readonly #options: StateRecorderOptions
  readonly #waiting: (StateChange | StoredLinkingCode)[] = []
  #writing: Promise<void> | undefined
  #isLost = false

  constructor(options: StateRecorderOptions) {
    this.#options = options
  }

  /** A transition, or the next code of a linking that goes on. */
  record(change: StateChange | StoredLinkingCode): void {
    if (this.#isLost) return
    this.#waiting.push(change)
    if (this.#waiting.length > MAX_WAITING) this.#waiting.shift()
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
  }

  /** The session is another owner's, who says what state it is in: nothing more is tried. */
  lose(): void {
    this.#isLost = true
    this.#waiting.length = 0
  }

  /** Resolves when everything is stored, or never will be. */
  async stored(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
  }

  async #write(): Promise<void> {
    const { log, lease, signal, onRefused } = this.#options
    for (let failures = 0; !signal.aborted; ) {
      const [change] = this.#waiting
      if (change === undefined) return
      try {
        await this.#store(change)
        // It is not there any more when newer ones have pushed it out.
        if (this.#waiting[0] === change) this.#waiting.shift()
        failures = 0
      } catch (err) {
        if (err instanceof LeaseLostError || err instanceof NumberTakenError) {
          // What was to follow the link does not.
          this.#waiting.length = 0
          onRefused(err instanceof LeaseLostError ? 'lease_lost' : 'number_taken')
          continue
        }
        failures += 1
        log.warn({ err, sessionId: lease.sessionId }, "A session's state could not be stored; trying again.")
        await pause(backoffMs(failures, STORE_AGAIN), signal)
      }
    }
  }

  async #store(change: StateChange | StoredLinkingCode): Promise<void> {
    const { database, lease, transitions } = this.#options
    if (!('state' in change))
      await fenced(database, lease, (db) => changeLinkingCode(lease.companyId, db, lease.sessionId, change))
    else if (change.isOver) await storeLastTransition(database, { lease, change })
    else await transitions.store({ lease, change })
  }
}
