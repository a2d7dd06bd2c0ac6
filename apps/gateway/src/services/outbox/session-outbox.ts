import type { Logger } from 'pino'
import type { QueuedMessage } from '#src/model/queued-message.ts'
import type { SessionStore } from '#src/model/session-store.ts'
import { StoreError } from '#src/model/store-error.ts'
import type { ProviderConnection } from '#src/providers/provider.ts'
import { backoffMs, pause } from '#src/services/lanes/backoff.ts'
import type { Lanes } from '#src/services/lanes/lanes.ts'
import type { Database } from '#src/storage/database.ts'
import type { Lease } from '#src/storage/leases.ts'
import { readQueuedMessages } from '#src/storage/messages.ts'
import { Delivery, type DeliveryTools } from './delivery.ts'

/** Messages that a session holds in memory at most; the others wait in the database. */
const MAX_HELD = 500
/** From so many on downwards, more are read from the database. */
const FEW_HELD = 100
const PAGE = 200

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
  /** Resolves when nothing of the session's former connection is on its way any more. */
  before: Promise<void> | undefined
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
  /** Read from the database by the last loading: whoever has committed them may tell of them only now. */
  readonly #loaded = new Set<string>()

  constructor(session: OutboxSession, connection: Pick<ProviderConnection, 'send'>, options: SessionOutboxOptions) {
    const { database, log } = options
    const { lease } = session
    this.#session = session
    this.#options = options
    this.#tools = {
      lease,
      connection,
      database,
      log,
      isOpen: () => !this.#ending.signal.aborted,
      ended: (message) => this.#leave(message),
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
    for (const message of messages) {
      if (this.isKnown(message.id)) continue
      if (this.#held.size < MAX_HELD) this.#hold(message)
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
    this.#options.lanes.drop(this.#session.lease.sessionId, (delivery) => {
      const isOurs = this.#held.get(delivery.message.id) === delivery
      if (isOurs) this.#held.delete(delivery.message.id)
      return isOurs
    })
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
          if (!this.#held.has(message.id) && !this.#leftMeanwhile.has(message.id)) this.#hold(message)
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
    this.#isStale = false
    this.#leftMeanwhile.clear()
    // What was acknowledged before this point must show in what is read.
    await store.committed(store.published)
    const except = [...this.#held.keys()]
    return readQueuedMessages(lease.companyId, this.#options.database.worker, {
      sessionId: lease.sessionId,
      except,
      limit: PAGE,
    })
  }
}
