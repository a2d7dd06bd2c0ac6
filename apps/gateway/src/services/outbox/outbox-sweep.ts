import type { Logger } from 'pino'
import type { Database } from '#src/storage/database.ts'
import { failExpired, readUnsentSince } from '#src/storage/messages.ts'
import { readOptedOut } from '#src/storage/opt-outs.ts'

const INTERVAL_MS = 1000
/** Younger messages may just be on their way into the outbox. */
const MIN_AGE_MS = 1000
const MAX_AGE_MS = 30_000
const MAX_MESSAGES = 5000
const MAX_CONTACTS = 5000
/** A message that left in its last moment is acknowledged by then. */
const EXPIRED_FOR_MS = 60_000
const MAX_EXPIRED = 500

/** What of an outbox the sweep looks at, and whom it tells. */
export interface SweptOutbox {
  /** There is a message that is old enough and not sent, whether known or not. */
  found(sessionId: string, messageId: string): void
  /** Contacts with messages in memory. */
  contactIds(): Set<string>
  /** This contact wants no messages any more. */
  forget(contactId: string): void
}

/**
 * Looks every second for messages that were committed and that nobody has told of: by a process that died in that
 * moment, or by another one whose wake-up got lost. For contacts that were opted out by another process while messages
 * to them are in memory. And for messages whose time is over: their session may never be online again, and they must
 * not end in silence.
 */
export class OutboxSweep implements AsyncDisposable {
  readonly #database: Database
  readonly #log: Logger
  readonly #outbox: SweptOutbox
  readonly #interval: NodeJS.Timeout
  #sweeping: Promise<void> | undefined

  constructor({ database, log }: { database: Database; log: Logger }, outbox: SweptOutbox) {
    this.#database = database
    this.#log = log
    this.#outbox = outbox
    this.#interval = setInterval(() => {
      this.#sweeping ??= this.#sweep().finally(() => {
        this.#sweeping = undefined
      })
    }, INTERVAL_MS).unref()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#interval)
    await this.#sweeping
  }

  async #sweep(): Promise<void> {
    const nowMs = Date.now()
    try {
      const unsent = await readUnsentSince(this.#database.worker, {
        fromMs: nowMs - MAX_AGE_MS,
        untilMs: nowMs - MIN_AGE_MS,
        limit: MAX_MESSAGES,
      })
      for (const { sessionId, id } of unsent) this.#outbox.found(sessionId, id)
      const contactIds = [...this.#outbox.contactIds()]
      for (let from = 0; from < contactIds.length; from += MAX_CONTACTS) {
        const some = contactIds.slice(from, from + MAX_CONTACTS)
        for (const id of await readOptedOut(this.#database.worker, some)) this.#outbox.forget(id)
      }
      await failExpired(this.#database.worker, { now: new Date(nowMs - EXPIRED_FOR_MS), limit: MAX_EXPIRED })
    } catch (err) {
      this.#log.debug({ err }, 'The outbox could not be swept; the next sweep follows.')
    }
  }
}
