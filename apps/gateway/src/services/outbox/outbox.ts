import type { Logger } from 'pino'
import type { QueuedMessage } from '#src/model/queued-message.ts'
import { Lanes } from '#src/services/lanes/lanes.ts'
import type { Database } from '#src/storage/database.ts'
import type { Delivery, SendingConnection } from './delivery.ts'
import { OutboxSweep } from './outbox-sweep.ts'
import { Pacing } from './pacing.ts'
import type { EffectivePacing } from './pacing-settings.ts'
import { type OutboxSession, SessionOutbox } from './session-outbox.ts'

/** Messages on their way to WhatsApp's acknowledgement at once. */
const CONCURRENCY = 1000
/** Under load each of them waits for a commit before it leaves, hence so many. */
const CONCURRENCY_PER_SESSION = 64

export interface OutboxOptions {
  database: Database
  /** The deployment's, for what neither the company nor the session has set. */
  pacing: EffectivePacing
  log: Logger
}

/**
 * Takes accepted messages to WhatsApp: each is sent while its session is online here, in the order of acceptance within a
 * chat. What is accepted while the session is not online waits in the database.
 */
export class Outbox implements AsyncDisposable {
  readonly #options: OutboxOptions
  readonly #lanes: Lanes<Delivery>
  readonly #sweep: OutboxSweep
  /** Of the sessions that are online here. */
  readonly #sessions = new Map<string, SessionOutbox>()
  /** Of the sessions that were online here since this process owns them: a reconnect begins no new minute. */
  readonly #pacings = new Map<string, Pacing>()

  constructor(options: OutboxOptions) {
    const { log } = options
    this.#options = options
    this.#lanes = new Lanes({
      concurrency: CONCURRENCY,
      concurrencyPerGroup: CONCURRENCY_PER_SESSION,
      process: (delivery) => delivery.run(),
      onError: (err) => log.error({ err }, 'A lane of the outbox failed.'),
    })
    this.#sweep = new OutboxSweep(options, {
      found: (sessionId, messageId) => {
        const session = this.#sessions.get(sessionId)
        if (session?.isKnown(messageId) === false) session.refresh()
      },
      contactIds: () => new Set([...this.#sessions.values()].flatMap((session) => session.contactIds())),
      forget: (contactId) => this.forget(contactId),
    })
  }

  /** The session can send: what waits is sent once `recorded`, that is, when it is stored that the session is online. */
  online(session: OutboxSession, connection: SendingConnection, recorded: Promise<void>): void {
    const { database, log, pacing: defaults } = this.#options
    const { lease } = session
    const { sessionId } = lease
    const pacing = this.#pacings.get(sessionId) ?? new Pacing({ lease, database, defaults })
    this.#pacings.set(sessionId, pacing)
    const before = Promise.all([this.#sessions.get(sessionId)?.end(), recorded])
    this.#sessions.set(
      sessionId,
      new SessionOutbox(session, connection, { database, log, lanes: this.#lanes, pacing, before }),
    )
  }

  /** The session cannot send any more, for now or for good. */
  offline(sessionId: string): void {
    // A message that is just being sent is waited for when the session comes back, so that it does not overtake itself.
    void this.#sessions.get(sessionId)?.end()
  }

  /** This process owns the session no longer. */
  released(sessionId: string): void {
    void this.#sessions.get(sessionId)?.end()
    this.#sessions.delete(sessionId)
    this.#pacings.delete(sessionId)
  }

  /** Messages of the session that have just been committed, in the order of acceptance. False if it is not here. */
  enqueue(sessionId: string, messages: readonly QueuedMessage[]): boolean {
    const session = this.#sessions.get(sessionId)
    session?.enqueue(messages)
    return session !== undefined
  }

  /** Messages of the session may have been committed that nobody has told of. False if it is not here. */
  refresh(sessionId: string): boolean {
    const session = this.#sessions.get(sessionId)
    session?.refresh()
    return session !== undefined
  }

  /** Messages to the contact may have been taken back: what of them is not on its way is looked up again. */
  forget(contactId: string): void {
    for (const session of this.#sessions.values()) session.forget(contactId)
  }

  /** Sessions with a message that has been on its way for longer than so many milliseconds. */
  stuckSessions(olderThanMs: number): Iterable<string> {
    return this.#lanes.stuckGroups(olderThanMs)
  }

  /** Waits for what is on its way; what is undone waits in the database. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sweep[Symbol.asyncDispose]()
    for (const sessionId of [...this.#sessions.keys()]) this.released(sessionId)
    await this.#lanes.idle()
  }
}
