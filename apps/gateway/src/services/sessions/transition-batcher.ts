import type { Database } from '#src/storage/database.ts'
import { LeaseLostError } from '#src/storage/leases.ts'
import { NumberTakenError, storeTransitions, type Transition } from '#src/storage/session-states.ts'
import { isDataError } from '#src/storage/writer/is-data-error.ts'

const MAX_TOGETHER = 500

interface Waiter {
  transition: Transition
  resolve: () => void
  reject: (error: unknown) => void
}

/**
 * Stores the transitions of all sessions of this process: what comes while a statement is under way goes into the next
 * one together. A session hands in one at a time.
 */
export class TransitionBatcher {
  readonly #database: Database
  readonly #waiting: Waiter[] = []
  #isStoring = false

  constructor(database: Database) {
    this.#database = database
  }

  /** Resolves when it is stored. @throws LeaseLostError, NumberTakenError, or what the database says */
  store(transition: Transition): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ transition, resolve, reject })
      if (!this.#isStoring) void this.#storeAll()
    })
  }

  async #storeAll(): Promise<void> {
    this.#isStoring = true
    // What comes in the same turn goes together.
    await Promise.resolve()
    while (this.#waiting.length > 0) await this.#storeTogether(this.#waiting.splice(0, MAX_TOGETHER))
    this.#isStoring = false
  }

  /** Never rejects: each waiter learns what has become of its own. */
  async #storeTogether(waiters: readonly Waiter[]): Promise<void> {
    try {
      const stored = await storeTransitions(
        this.#database.worker,
        waiters.map(({ transition }) => transition),
      )
      for (const { transition, resolve, reject } of waiters) {
        if (stored.has(transition.lease.sessionId)) resolve()
        else reject(new LeaseLostError(transition.lease))
      }
    } catch (error) {
      if (waiters.length > 1 && (error instanceof NumberTakenError || isDataError(error))) {
        // One of them has spoiled it for all.
        for (const waiter of waiters) await this.#storeTogether([waiter])
        return
      }
      for (const { reject } of waiters) reject(error)
    }
  }
}
