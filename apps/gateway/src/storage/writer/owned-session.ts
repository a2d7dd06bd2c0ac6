import type { Sealer } from '#src/model/sealing.ts'
import type { KeyKind, RetryRequest, SessionChange, SessionStore } from '#src/model/session-store.ts'
import { StoreError } from '#src/model/store-error.ts'
import type { Owner } from './sealed-changes.ts'
import { SessionChanges } from './session-changes.ts'
import type { StoredSession } from './stored-session.ts'

export interface SessionOptions extends Owner {
  sealer: Sealer
  /** Called once when nothing more will be committed: the lease is lost, or the database refuses the session's rows. */
  onFailed?: (error: StoreError) => void
}

/** A session's store while this process owns the session. */
export interface OwnedSession extends SessionStore {
  readonly sessionId: string
  /** Changes published and not yet committed. A provider that sees too many stops reading its socket for a while. */
  readonly pendingOperations: number
  readonly failure: StoreError | undefined
  /** Takes no more changes. Resolves when those published are committed, or never will be, or are not in time. */
  close(): Promise<void>
}

/** What the writer is told by a session. */
export interface SessionEvents {
  published(session: WriterSession): void
  closed(session: WriterSession): void
  /** False when others may own the session. The answer itself makes the writer fail all its sessions then. */
  isMember(): boolean
}

interface Waiter {
  sequence: number
  resolve: () => void
  reject: (error: StoreError) => void
}

/** The writer's side of an owned session: what is published, under way and committed. */
export class WriterSession implements OwnedSession, Owner {
  readonly sessionId: string
  readonly companyId: string
  readonly epoch: number
  readonly sealer: Sealer
  readonly #stored: StoredSession
  readonly #events: SessionEvents
  readonly #onFailed: ((error: StoreError) => void) | undefined
  readonly #drainTimeoutMs: number
  #pending = new SessionChanges()
  #inFlight: SessionChanges | undefined
  #published = 0
  /** The newest change that was not dropped. */
  #accepted = 0
  #committed = 0
  #waiters: Waiter[] = []
  #failure: StoreError | undefined
  #closing: Promise<void> | undefined

  /** `drainTimeoutMs`: how long closing waits for a database that is away. */
  constructor(options: SessionOptions & { drainTimeoutMs: number }, stored: StoredSession, events: SessionEvents) {
    this.sessionId = options.sessionId
    this.companyId = options.companyId
    this.epoch = options.epoch
    this.sealer = options.sealer
    this.#onFailed = options.onFailed
    this.#stored = stored
    this.#events = events
    this.#drainTimeoutMs = options.drainTimeoutMs
  }

  get published(): number {
    return this.#published
  }

  get pendingOperations(): number {
    return this.#failure ? 0 : this.#pending.operations + (this.#inFlight?.operations ?? 0)
  }

  get failure(): StoreError | undefined {
    return this.#failure
  }

  publish(change: SessionChange): number {
    this.#published += 1
    if (this.#failure ?? this.#closing) return this.#published
    this.#accepted = this.#published
    this.#pending.add(change)
    this.#events.published(this)
    return this.#published
  }

  isCommitted(sequence: number): boolean {
    return sequence <= this.#committed && this.#events.isMember()
  }

  async committed(sequence: number): Promise<void> {
    if (this.isCommitted(sequence)) return
    if (this.#failure) throw this.#failure
    await new Promise<void>((resolve, reject) => this.#waiters.push({ sequence, resolve, reject }))
  }

  async readKeys(kind: KeyKind, ids?: readonly string[]): Promise<Map<string, Uint8Array>> {
    // Memory is ahead of what a failed store holds: to go on from there would use the same key twice.
    if (this.#failure) throw this.#failure
    if (this.#pending.touches(kind, ids) || this.#inFlight?.touches(kind, ids)) await this.committed(this.#published)
    return await this.#stored.readKeys(kind, ids)
  }

  async findPlaintext(ciphertextHash: Uint8Array): Promise<Uint8Array | undefined> {
    return (
      this.#pending.plaintextOf(ciphertextHash) ??
      this.#inFlight?.plaintextOf(ciphertextHash) ??
      (await this.#stored.findPlaintext(ciphertextHash))
    )
  }

  findPending() {
    return this.#stored.findPending()
  }

  requestSent(request: RetryRequest) {
    return this.#stored.requestSent(request)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const late = new StoreError('store_failed', `the changes of session ${this.sessionId} were not committed in time`)
    // A try that is under way may still come through, until the session has another owner: nobody is told that it did.
    const timeout = setTimeout(() => this.fail(late), this.#drainTimeoutMs)
    try {
      await this.committed(this.#accepted)
    } catch {
      // `onFailed` was told; what matters here is that nobody waits any more.
    }
    clearTimeout(timeout)
    this.#end(new StoreError('store_failed', `the store of session ${this.sessionId} is closed`))
    this.#events.closed(this)
  }

  /** Hands out all that was published since the last time, to be flushed. */
  takePending(): { changes: SessionChanges; upTo: number } {
    const changes = this.#pending
    this.#pending = new SessionChanges()
    this.#inFlight = changes
    return { changes, upTo: this.#accepted }
  }

  get hasChangesInFlight(): boolean {
    return this.#inFlight !== undefined
  }

  /** What was taken is committed. */
  settle(upTo: number): void {
    this.#inFlight = undefined
    this.#committed = upTo
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) {
      if (waiter.sequence <= upTo) waiter.resolve()
      else this.#waiters.push(waiter)
    }
  }

  /** Nothing more will be committed. */
  fail(error: StoreError): void {
    if (this.#failure) return
    this.#end(error)
    this.#onFailed?.(error)
  }

  #end(error: StoreError): void {
    this.#failure ??= error
    this.#pending = new SessionChanges()
    this.#inFlight = undefined
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) waiter.reject(this.#failure)
  }
}
