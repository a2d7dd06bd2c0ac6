import { setTimeout as delay } from 'node:timers/promises'
import { isDiskFull } from '#src/model/disk-full.ts'
import { FrontdeskError } from '#src/model/errors.ts'
import type { Acceptance, MessageAcceptor, NewMessage } from '#src/storage/message-acceptor.ts'
import { isDataError } from '#src/storage/writer/is-data-error.ts'

export interface AcceptBatcherOptions {
  acceptor: Pick<MessageAcceptor, 'accept'>
  /** Told of each message that is stored, in the order of acceptance and before its `accept` resolves. */
  onQueued: (message: NewMessage, acceptance: Acceptance & { kind: 'queued' }) => void
  /** Told of messages of which it is not known whether they are stored. */
  onUnknown: (messages: readonly NewMessage[]) => void
  /** The database has no room for what was to be stored. */
  onDiskFull?: (() => void) | undefined
}

interface Pending {
  message: NewMessage
  tries: number
  resolve(acceptance: Acceptance): void
  reject(error: unknown): void
}

/** A gateway that is so far behind refuses further messages rather than to hold them in memory. */
const MAX_PENDING = 10_000
const MAX_ROWS = 200
/** A batch of so many means load: the next one waits longer, so that it carries more for the same price. */
const LOADED_ROWS = 8
const GATHER_MS = 2
const LOADED_GATHER_MS = 5
const MAX_TRIES = 5

/**
 * Makes many accepts one statement: a commit costs the same for one row as for a hundred. One statement is under way at
 * a time, so the order of acceptance is the order in the database.
 */
export class AcceptBatcher {
  readonly #options: AcceptBatcherOptions
  #pending: Pending[] = []
  #flushing: Promise<void> | undefined

  constructor(options: AcceptBatcherOptions) {
    this.#options = options
  }

  /** @throws FrontdeskError `unavailable` when the database cannot be asked, or too much waits for it; `database_full` */
  accept(message: NewMessage): Promise<Acceptance> {
    if (this.#pending.length >= MAX_PENDING) return Promise.reject(new FrontdeskError('unavailable'))
    const { promise, resolve, reject } = Promise.withResolvers<Acceptance>()
    this.#pending.push({ message, tries: 0, resolve, reject })
    this.#flushing ??= this.#flush()
    return promise
  }

  /** Resolves when everything accepted so far is settled. */
  async settled(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing
  }

  async #flush(): Promise<void> {
    let gatherMs = GATHER_MS
    while (this.#pending.length > 0) {
      await delay(gatherMs)
      const batch = this.#pending.splice(0, MAX_ROWS)
      gatherMs = batch.length >= LOADED_ROWS ? LOADED_GATHER_MS : GATHER_MS
      await this.#store(batch)
    }
    this.#flushing = undefined
  }

  async #store(batch: Pending[]): Promise<void> {
    const messages = batch.map(({ message }) => message)
    try {
      const acceptances = await this.#options.acceptor.accept(messages)
      const unsettled = batch.filter((pending, place) => !this.#settle(pending, acceptances[place]))
      this.#pending.unshift(...unsettled)
    } catch (error) {
      if (isDataError(error) && batch.length > 1) {
        // One company's message must not fail another's: each on its own tells which one it was.
        for (const pending of batch) await this.#store([pending])
        return
      }
      this.#options.onUnknown(messages)
      if (isDiskFull(error)) this.#options.onDiskFull?.()
      const code = isDiskFull(error) ? 'database_full' : 'unavailable'
      const reason = isDataError(error) ? error : new FrontdeskError(code, undefined, { cause: error })
      for (const pending of batch) pending.reject(reason)
    }
  }

  /** False if it has to be looked at once more. */
  #settle(pending: Pending, acceptance: Acceptance | undefined): boolean {
    pending.tries += 1
    if (acceptance === undefined || acceptance.kind === 'unsettled') {
      if (pending.tries < MAX_TRIES) return false
      pending.reject(new FrontdeskError('unavailable'))
      return true
    }
    if (acceptance.kind === 'queued') this.#options.onQueued(pending.message, acceptance)
    pending.resolve(acceptance)
    return true
  }
}
