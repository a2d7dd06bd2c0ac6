import { setImmediate as nextTurn } from 'node:timers/promises'
import { DatabaseError } from 'pg'
import type { Logger } from 'pino'
import type { ReceiptUpdate, ReceivedMessage } from '#src/model/session-store.ts'
import { StoreError } from '#src/model/store-error.ts'
import type { Database } from '../database.ts'
import { Committer, type CommitterState, type Settled } from './committer.ts'
import { FlushConnection } from './flush-connection.ts'
import { type OwnedSession, type SessionOptions, WriterSession } from './owned-session.ts'
import { type SealedChanges, sealChanges } from './sealed-changes.ts'
import type { SessionChanges } from './session-changes.ts'
import { storedSession } from './stored-session.ts'

/**
 * A flush of so many changes means load: the next one waits, so that it carries more for the same price. Together the two
 * say how much is load, 400 changes a second: waiting so long that usual traffic comes to as many would make load of it,
 * and keep it waiting for ever.
 */
const LOADED_OPERATIONS = 16
const LOADED_INTERVAL_MS = 40
const MAX_STATEMENT_BYTES = 16 * 1024 * 1024
const MAX_BLOCKING_MS = 5
const DRAIN_TIMEOUT_MS = 5_000

/** What a flush has changed for one session; only what is really new. */
export interface CommittedChanges {
  sessionId: string
  companyId: string
  /** With the canonical contact, which can differ from the one published, and the id of the row that one resolves. */
  messages: ReceivedMessage[]
  receipts: { messageId: string; contactId: string; whatsappId: string; status: ReceiptUpdate['status'] }[]
}

/**
 * The one writer of a session host. All its sessions publish into it, synchronously and in order; it commits what has
 * come together in one statement, never two at a time. So the database always holds a prefix of what each session did.
 */
export interface Writer extends AsyncDisposable {
  /** The store of a session whose lease this process holds. A session is open once. */
  openSession(options: SessionOptions): OwnedSession
  /** This process owns nothing any more: every session's store fails now, before this returns. */
  fence(): void
  /** Called after each commit that has brought something new, before anybody who waits for it. Returns the way to stop. */
  onCommitted(listener: (batch: readonly CommittedChanges[]) => void): () => void
  /** Changes published and not yet committed, of all sessions. */
  readonly pendingOperations: number
  readonly health: Readonly<CommitterState>
}

export interface WriterOptions {
  database: Database
  log: Logger
  /** False when others may own what this process has claimed. Asked before each frame: nothing leaves from then on. */
  isMember?: () => boolean
  /** Told each time that the database has no room for a flush, which is then tried again. */
  onDiskFull?: () => void
  /** How long a session that is closed, and a writer that is disposed of, wait for the database to take what was published. */
  drainTimeoutMs?: number
}

/**
 * Starts a writer. Disposing of it commits what was published, if the database takes it in time, and fails the rest.
 * @throws FrontdeskError `database_unreachable`
 */
export async function startWriter(options: WriterOptions): Promise<Writer> {
  const connection = new FlushConnection(options.database)
  await connection.query({ text: 'select' })
  return new GroupCommitWriter(options, connection)
}

class GroupCommitWriter implements Writer {
  readonly #database: Database
  readonly #connection: FlushConnection
  readonly #log: Logger
  readonly #isMember: () => boolean
  readonly #drainTimeoutMs: number
  readonly #committer: Committer<WriterSession>
  readonly #sessions = new Map<string, WriterSession>()
  readonly #listeners = new Set<(batch: readonly CommittedChanges[]) => void>()
  readonly #stopping = new AbortController()
  /** Sessions with changes to flush, in the order of their first one. */
  #dirty = new Set<WriterSession>()
  #isScheduled = false
  #flushing: Promise<void> | undefined
  #lastFlushAt = 0
  #lastOperations = 0

  constructor(
    { database, log, isMember = () => true, onDiskFull, drainTimeoutMs = DRAIN_TIMEOUT_MS }: WriterOptions,
    connection: FlushConnection,
  ) {
    this.#database = database
    this.#isMember = isMember
    this.#connection = connection
    this.#log = log
    this.#drainTimeoutMs = drainTimeoutMs
    this.#committer = new Committer({
      ...{ connection, log, onDiskFull },
      onSettled: (settled) => this.#settle(settled),
    })
  }

  openSession(options: SessionOptions): OwnedSession {
    if (this.#stopping.signal.aborted) throw new StoreError('store_failed', 'the writer has stopped')
    if (!this.#isMember()) throw new StoreError('lease_lost', 'this process owns no session now')
    if (this.#sessions.has(options.sessionId)) throw new Error(`session ${options.sessionId} is open already`)
    const stored = storedSession(this.#database, options.sessionId, options.sealer)
    const drainTimeoutMs = this.#drainTimeoutMs
    const session = new WriterSession({ ...options, drainTimeoutMs }, stored, {
      published: (publisher) => {
        this.#dirty.add(publisher)
        this.#schedule()
      },
      closed: (closed) => this.#sessions.delete(closed.sessionId),
      isMember: this.#isMember,
    })
    this.#sessions.set(options.sessionId, session)
    return session
  }

  fence(): void {
    for (const session of this.#sessions.values())
      session.fail(new StoreError('lease_lost', `session ${session.sessionId} may have another owner now`))
  }

  onCommitted(listener: (batch: readonly CommittedChanges[]) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  get pendingOperations(): number {
    let operations = 0
    for (const session of this.#sessions.values()) operations += session.pendingOperations
    return operations
  }

  get health(): Readonly<CommitterState> {
    return this.#committer.state
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#sessions.values()].map((session) => session.close()))
    this.#stopping.abort()
    // A try that is under way, for what nobody waits for any more, ends here; or when it has got its connection.
    await this.#connection.drop()
    await this.#flushing
    await this.#connection[Symbol.asyncDispose]()
  }

  #schedule(): void {
    if (this.#isScheduled || this.#flushing || this.#stopping.signal.aborted) return
    this.#isScheduled = true
    const isLoaded = this.#lastOperations >= LOADED_OPERATIONS
    const waitMs = isLoaded ? this.#lastFlushAt + LOADED_INTERVAL_MS - performance.now() : 0
    if (waitMs > 1) setTimeout(() => this.#startFlush(), waitMs)
    else setImmediate(() => this.#startFlush())
  }

  #startFlush(): void {
    this.#isScheduled = false
    this.#lastFlushAt = performance.now()
    // What is stale would be refused one by one.
    const sessions = this.#isMember() ? [...this.#dirty] : []
    this.#dirty = new Set()
    this.#flushing = this.#flush(sessions).then(() => {
      this.#flushing = undefined
      if (this.#dirty.size > 0) this.#schedule()
    })
  }

  async #flush(sessions: readonly WriterSession[]): Promise<void> {
    const taken = sessions.filter(({ failure }) => !failure).map((session) => ({ session, ...session.takePending() }))
    this.#lastOperations = taken.reduce((sum, { changes }) => sum + changes.operations, 0)
    try {
      const sealed = await this.#seal(taken)
      for (const statement of statements(sealed)) await this.#committer.commit(statement, this.#stopping.signal)
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#log.error({ err: error }, 'a flush has failed for good')
      for (const { session } of taken)
        if (session.hasChangesInFlight)
          session.fail(new StoreError('store_failed', 'the flush has failed', { cause: error }))
    }
  }

  async #seal(
    taken: readonly { session: WriterSession; changes: SessionChanges; upTo: number }[],
  ): Promise<SealedChanges<WriterSession>[]> {
    const sealed: SealedChanges<WriterSession>[] = []
    let begunAt = performance.now()
    for (const { session, changes, upTo } of taken) {
      try {
        sealed.push(sealChanges(session, session.sealer, changes, upTo))
      } catch (error) {
        this.#quarantine(session, error)
      }
      if (performance.now() - begunAt < MAX_BLOCKING_MS) continue
      await nextTurn()
      begunAt = performance.now()
    }
    return sealed
  }

  /** Tells what is new first, then those who wait: who has waited for a commit finds its news told. */
  #settle(settled: readonly Settled<WriterSession>[]): void {
    this.#announce(settled.map(committedChanges).filter((news) => news !== undefined))
    for (const { changes, outcome } of settled) {
      const { session, upTo } = changes
      switch (outcome.kind) {
        case 'committed':
          session.settle(upTo)
          break
        case 'lease_lost':
          this.#log.warn({ sessionId: session.sessionId, epoch: session.epoch }, 'the lease of a session is lost')
          session.fail(new StoreError('lease_lost', `session ${session.sessionId} has another owner now`))
          break
        case 'refused':
          this.#quarantine(session, outcome.cause)
      }
    }
  }

  /** One session's rows cannot be written; the others go on. */
  #quarantine(session: WriterSession, cause: unknown): void {
    const { sessionId } = session
    const { code, constraint, table } = cause instanceof DatabaseError ? cause : {}
    const err = cause instanceof DatabaseError ? undefined : cause
    this.#log.error({ sessionId, code, constraint, table, err }, 'the rows of a session are refused')
    session.fail(new StoreError('rows_refused', `the rows of session ${session.sessionId} are refused`, { cause }))
  }

  #announce(news: readonly CommittedChanges[]): void {
    if (news.length === 0) return
    for (const listener of this.#listeners) {
      try {
        listener(news)
      } catch (error) {
        this.#log.error({ err: error }, 'a listener to commits has failed')
      }
    }
  }
}

/** What a commit has brought that is new; undefined if nothing. */
function committedChanges({ changes, outcome }: Settled<WriterSession>): CommittedChanges | undefined {
  if (outcome.kind !== 'committed') return undefined
  const messages = changes.messages.flatMap(({ message }) => {
    const row = outcome.received.get(message.id)
    return row === undefined ? [] : [{ ...message, ...row }]
  })
  if (messages.length + outcome.moved.length === 0) return undefined
  const { sessionId, companyId } = changes.session
  return { sessionId, companyId, messages, receipts: outcome.moved }
}

/** Divides what is to be committed into statements of a size that server and network take well. */
function statements<Changes extends { bytes: number }>(all: readonly Changes[]): Changes[][] {
  const divided: Changes[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const changes of all) {
    if (bytes + changes.bytes > MAX_STATEMENT_BYTES) {
      divided.push([])
      bytes = 0
    }
    divided.at(-1)?.push(changes)
    bytes += changes.bytes
  }
  return divided
}
