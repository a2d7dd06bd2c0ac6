import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import type { ContactBook } from '#src/model/contact-book.ts'
import { newId } from '#src/model/ids.ts'
import type { Provider } from '#src/providers/provider.ts'
import { backoffMs, pause } from '#src/services/lanes/backoff.ts'
import { createContactBook } from '#src/storage/contacts.ts'
import type { Database } from '#src/storage/database.ts'
import type { KeyRing } from '#src/storage/key-ring.ts'
import { claimLease } from '#src/storage/leases.ts'
import { listWantedSessions, readSession, type SessionRow } from '#src/storage/sessions.ts'
import type { Writer } from '#src/storage/writer/writer.ts'
import { ConnectSlots } from './connect-slots.ts'
import type { SessionListener } from './session-listener.ts'
import { type RunnerEnd, type RunnerTools, SessionRunner, type SessionSettings } from './session-runner.ts'

/** Sessions that connect at once. Each spends most of its time waiting for commits and answers, hence so many. */
const CONNECTING_AT_ONCE = 200
const MAX_CONTACT_BOOKS = 10_000
/** How long an ending gateway waits for a database that is away, milliseconds. */
const LAST_WORDS_MS = 5000
/** A database that has just failed is not asked again at once, milliseconds. */
const STORE_FAILED_PAUSE_MS = 1000
const LOOK_AGAIN = { firstMs: 250, maxMs: 10_000 }

export interface SessionHostOptions {
  database: Database
  writer: Writer
  keyRing: KeyRing
  provider: Provider
  listener: SessionListener
  settings: SessionSettings
  log: Logger
}

/** The sessions that this process owns: makes of each what its company wants. */
export class SessionHost implements AsyncDisposable {
  readonly #database: Database
  readonly #nodeId = newId()
  readonly #tools: RunnerTools
  /** Of the sessions that run here. */
  readonly #runners = new Map<string, SessionRunner>()
  /** Sessions that are being looked at: whether something has changed meanwhile. */
  readonly #looking = new Map<string, { again: boolean }>()
  readonly #givingUp = new AbortController()
  readonly #ending = new AbortController()

  constructor({ database, writer, keyRing, provider, listener, settings, log }: SessionHostOptions) {
    const contacts = new LRUCache<string, ContactBook>({
      max: MAX_CONTACT_BOOKS,
      memoMethod: (companyId) => createContactBook(database, companyId),
    })
    this.#database = database
    this.#tools = {
      ...{ database, writer, keyRing, provider, listener, settings, log },
      slots: new ConnectSlots(CONNECTING_AT_ONCE),
      contactsOf: (companyId) => contacts.memo(companyId),
      givingUp: this.#givingUp.signal,
    }
  }

  /** Takes up every session that its company wants to run. */
  async resumeAll(): Promise<void> {
    for (const row of await listWantedSessions(this.#database.worker)) this.lookAt(row.id)
  }

  /** The session's row has changed: makes of the session what is wanted now. Never throws. */
  lookAt(sessionId: string): void {
    if (this.#ending.signal.aborted) return
    const looking = this.#looking.get(sessionId)
    if (looking !== undefined) {
      looking.again = true
      return
    }
    const look = { again: false }
    this.#looking.set(sessionId, look)
    void this.#look(sessionId, look)
  }

  /** Closes all connections; the sessions are taken up again by the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort()
    const giveUp = setTimeout(() => this.#givingUp.abort(), LAST_WORDS_MS)
    await Promise.all([...this.#runners.values()].map((runner) => runner.stop('gateway_stopped')))
    clearTimeout(giveUp)
  }

  async #look(sessionId: string, look: { again: boolean }): Promise<void> {
    for (let failures = 0; !this.#ending.signal.aborted; ) {
      look.again = false
      try {
        await this.#makeSo(await readSession(this.#database.worker, sessionId))
        failures = 0
        if (!look.again) break
      } catch (err) {
        failures += 1
        this.#tools.log.warn({ err, sessionId }, 'A session could not be looked at; trying again.')
        await pause(backoffMs(failures, LOOK_AGAIN), this.#ending.signal)
      }
    }
    this.#looking.delete(sessionId)
  }

  async #makeSo(session: SessionRow | undefined): Promise<void> {
    if (session === undefined) return
    const runner = this.#runners.get(session.id)
    if (session.desired === 'running') {
      if (runner?.isStopping) await runner.ended
      await this.#run(session)
    } else {
      await runner?.stop('stopped')
    }
  }

  /** Claims the session, and keeps it connected until its runner ends. */
  async #run(session: SessionRow): Promise<void> {
    if (this.#ending.signal.aborted || this.#runners.has(session.id)) return
    const lease = await claimLease(this.#database, this.#nodeId, session.id)
    if (this.#ending.signal.aborted) return
    const runner = new SessionRunner(session, lease, this.#tools)
    this.#runners.set(session.id, runner)
    void runner.ended.then((end) => this.#ended(session.id, end))
  }

  #ended(sessionId: string, end: RunnerEnd): void {
    this.#runners.delete(sessionId)
    // Its company may have started it again while it was ending.
    if (end === 'over') this.lookAt(sessionId)
    if (end === 'store_failed')
      void pause(STORE_FAILED_PAUSE_MS, this.#ending.signal).then(() => this.lookAt(sessionId))
  }
}
