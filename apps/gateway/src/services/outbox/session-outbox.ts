import type { Logger } from 'pino'
import type { QueuedMessage } from '#src/model/queued-message.ts'
import type { SessionStore } from '#src/model/session-store.ts'
import { steadyNow } from '#src/model/steady-now.ts'
import { StoreError } from '#src/model/store-error.ts'
import { backoffMs, pause } from '#src/services/lanes/backoff.ts'
import type { Lanes } from '#src/services/lanes/lanes.ts'
import type { Database } from '#src/storage/database.ts'
import type { Lease } from '#src/storage/leases.ts'
import { readHeldBack, readQueuedMessages } from '#src/storage/messages.ts'
import { Delivery, type DeliveryTools, MAX_HELD_WAIT_MS, type SendingConnection } from './delivery.ts'
import type { Pacing } from './pacing.ts'

/** Messages that a session holds in memory at most; the others wait in the database. */
const MAX_HELD = 500
/** From so many on downwards, more are read from the database. */
const FEW_HELD = 100
const PAGE = 200
/** Looks so often at least while messages wait for their time: clocks are set, and timers are not. */
const MAX_LOOK_AGAIN_MS = 60_000

/** A session that is online here, as far as the outbox needs to know it. */
export interface OutboxSession {
  /** Stands in every write: what a stale owner writes is refused. */
  lease: Lease
  /** Where the provider writes acknowledgements. */
  store: Pick<SessionStore, 'published' | 'committed'>
}

export interface SessionOutboxOptions {
  database: Database
  log: Logger
  lanes: Lanes<Delivery>
  pacing: Pacing
  /**
   * Resolves when nothing of the session's former connection is on its way any more, and when it is stored that the
   * session is online: from then on nothing that it may send can be cancelled.
   */
  before: Promise<unknown>
}

/**
 * What one session sends over one connection. Messages come from memory as they are accepted, and from the database
 * when the session comes online or more wait than are held.
 */
export class SessionOutbox {
  readonly #session: OutboxSession
  readonly #options: SessionOutboxOptions
  readonly #tools: DeliveryTools
  /** In the lanes or on their way, by id. */
  readonly #held = new Map<string, Delivery>()
  readonly #ending = new AbortController()
  readonly #ended = Promise.withResolvers<void>()
  /** Messages wait in the database that are not held. */
  #moreWaits = true
  #isLoading = false
  /** Something has been committed while the database was being read. */
  #isStale = false
  /** What has left the outbox while the database was being read: the reading may still have seen it. */
  #leftMeanwhile = new Set<string>()
  /** Chats that have to wait since then: the reading may have seen their messages as if they had not. */
  #deferredMeanwhile = new Set<string>()
  /** Read from the database by the last loading: whoever has committed them may tell of them only now. */
  readonly #loaded = new Set<string>()
  /** When the first message is due of those that wait in the database for their time. */
  #dueAtMs = Number.POSITIVE_INFINITY
  #dueTimer: NodeJS.Timeout | undefined
  /** Chats wait in the database behind such a message: only the database knows who must not overtake it. */
  #holdsChats = false

  constructor(session: OutboxSession, connection: SendingConnection, options: SessionOutboxOptions) {
    const { database, log, pacing } = options
    const { lease } = session
    this.#session = session
    this.#options = options
    this.#tools = {
      lease,
      connection,
      pacing,
      database,
      log,
      signal: this.#ending.signal,
      ended: (message) => this.#leave(message),
      deferred: (message, untilMs) => this.#defer(message, untilMs),
      leaseLost: () => void this.end(),
    }
    void this.#load()
  }

  enqueue(messages: readonly QueuedMessage[]): void {
    if (this.#moreWaits || this.#isLoading) {
      // They come after those that wait in the database, and are found there.
      this.#isStale = true
      return
    }
    if (this.#holdsChats) {
      this.refresh()
      return
    }
    const nowMs = Date.now()
    for (const message of messages) {
      if (this.isKnown(message.id)) continue
      if (message.sendAt !== null && message.sendAt.getTime() > nowMs) this.#awaitDue(message.sendAt.getTime())
      else if (this.#held.size < MAX_HELD) this.#hold(message)
      else this.#moreWaits = true
    }
  }

  /** Whether the message is held, or will be read, or has just been read. */
  isKnown(messageId: string): boolean {
    return this.#moreWaits || this.#isLoading || this.#held.has(messageId) || this.#loaded.has(messageId)
  }

  /** Looks into the database for messages that nobody has told of. */
  refresh(): void {
    this.#moreWaits = true
    this.#isStale = true
    if (this.#held.size <= FEW_HELD) void this.#load()
  }

  /** Sends nothing more. Resolves when nothing is on its way any more. */
  end(): Promise<void> {
    this.#ending.abort()
    clearTimeout(this.#dueTimer)
    this.#drop(() => true)
    this.#resolveIfEnded()
    return this.#ended.promise
  }

  #hold(message: QueuedMessage): void {
    const delivery = new Delivery(message, this.#tools)
    this.#held.set(message.id, delivery)
    this.#options.lanes.add(this.#session.lease.sessionId, message.contactId, delivery)
  }

  #leave({ id }: QueuedMessage): void {
    this.#held.delete(id)
    if (this.#isLoading) this.#leftMeanwhile.add(id)
    if (this.#moreWaits && this.#held.size <= FEW_HELD) void this.#load()
    this.#resolveIfEnded()
  }

  /** Whose messages are in memory, with repetitions. */
  contactIds(): string[] {
    return Array.from(this.#held.values(), ({ message }) => message.contactId)
  }

  /** Forgets what of the contact is not on its way: what still waits then is read again. */
  forget(contactId: string): void {
    if (!this.#isLoading && !this.contactIds().includes(contactId)) return
    this.#drop((message) => message.contactId === contactId)
    this.#deferredMeanwhile.add(contactId)
    this.refresh()
  }

  #drop(matches: (message: QueuedMessage) => boolean): void {
    this.#options.lanes.drop(this.#session.lease.sessionId, (delivery) => {
      const { message } = delivery
      if (this.#held.get(message.id) !== delivery || !matches(message)) return false
      this.#held.delete(message.id)
      return true
    })
  }

  /** The message waits in the database, and what comes after it in its chat does so too. */
  #defer(message: QueuedMessage, untilMs: number): void {
    this.#deferredMeanwhile.add(message.contactId)
    this.#isStale = true
    this.#holdsChats = true
    this.#drop(({ contactId }) => contactId === message.contactId)
    this.#awaitDue(untilMs)
    this.#leave(message)
  }

  #awaitDue(atMs: number): void {
    if (atMs >= this.#dueAtMs || this.#ending.signal.aborted) return
    this.#dueAtMs = atMs
    clearTimeout(this.#dueTimer)
    const waitMs = Math.min(Math.max(0, atMs - Date.now()), MAX_LOOK_AGAIN_MS)
    this.#dueTimer = setTimeout(() => {
      this.#dueAtMs = Number.POSITIVE_INFINITY
      this.refresh()
    }, waitMs)
  }

  #resolveIfEnded(): void {
    if (this.#ending.signal.aborted && this.#held.size === 0) this.#ended.resolve()
  }

  async #load(): Promise<void> {
    const { signal } = this.#ending
    if (this.#isLoading || signal.aborted) return
    this.#isLoading = true
    this.#loaded.clear()
    await this.#options.before
    for (let failures = 0; !signal.aborted; ) {
      try {
        const page = await this.#readPage()
        if (signal.aborted) return
        for (const message of page) {
          this.#loaded.add(message.id)
          if (this.#held.has(message.id) || this.#leftMeanwhile.has(message.id)) continue
          if (!this.#deferredMeanwhile.has(message.contactId)) this.#hold(message)
        }
        this.#moreWaits = page.length === PAGE
        if (this.#moreWaits ? this.#held.size > FEW_HELD : !this.#isStale) break
      } catch (err) {
        if (err instanceof StoreError) return
        failures += 1
        this.#options.log.warn({ err, sessionId: this.#session.lease.sessionId }, 'The outbox could not be read.')
        await pause(backoffMs(failures, { firstMs: 250, maxMs: 10_000 }), signal)
      }
    }
    this.#isLoading = false
    this.#leftMeanwhile.clear()
  }

  async #readPage(): Promise<QueuedMessage[]> {
    const { lease, store } = this.#session
    const { sessionId } = lease
    const { worker } = this.#options.database
    this.#isStale = false
    this.#leftMeanwhile.clear()
    this.#deferredMeanwhile.clear()
    // What was acknowledged before this point must show in what is read.
    await store.committed(store.published)
    const due = { now: new Date(), soon: new Date(steadyNow() + MAX_HELD_WAIT_MS) }
    const except = [...this.#held.keys()]
    const page = await readQueuedMessages(worker, { sessionId, except, limit: PAGE, due })
    const { dueAt, holdsChats } = await readHeldBack(worker, { sessionId, due })
    this.#holdsChats = holdsChats || this.#deferredMeanwhile.size > 0
    if (dueAt !== null) this.#awaitDue(dueAt.getTime())
    return page
  }
}
