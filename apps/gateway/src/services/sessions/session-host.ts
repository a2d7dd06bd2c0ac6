import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import type { ContactBook } from '#src/model/contact-book.ts'
import type { Provider } from '#src/providers/provider.ts'
import { backoffMs, pause } from '#src/services/lanes/backoff.ts'
import type { Membership } from '#src/services/supervisor/membership.ts'
import { createContactBook } from '#src/storage/contacts.ts'
import type { Database } from '#src/storage/database.ts'
import type { KeyRing } from '#src/storage/key-ring.ts'
import { type Claim, type Lease, listToLookAt } from '#src/storage/leases.ts'
import type { NodeLife } from '#src/storage/nodes.ts'
import { readSession } from '#src/storage/sessions.ts'
import type { Writer } from '#src/storage/writer/writer.ts'
import { ConnectSlots } from './connect-slots.ts'
import { OutdatedVersions } from './outdated-versions.ts'
import { Quarantine } from './quarantine.ts'
import { SessionClaimer } from './session-claimer.ts'
import type { SessionListener } from './session-listener.ts'
import { type RunnerEnd, type RunnerTools, SessionRunner } from './session-runner.ts'
import type { EffectiveSessionSettings } from './session-settings.ts'
import { TransitionBatcher } from './transition-batcher.ts'

/** A session that connects spends most of its time waiting for commits and answers, hence so many at once. */
const CONNECT_LIMITS = { atOnce: 200, perSecond: 100, burst: 200 }
const MAX_CONTACT_BOOKS = 10_000
/** How long an ending gateway waits for a database that is away, milliseconds. */
const LAST_WORDS_MS = 5000
/** A database that has just failed is not asked again at once, milliseconds. */
const STORE_FAILED_PAUSE_MS = 1000
const LOOK_AGAIN = { firstMs: 250, maxMs: 10_000 }
/** The backstop for what nobody has told of: its process died between the commit and the wake-up. */
const LOOK_EVERY_MS = 5000

export interface SessionHostOptions {
  database: Database
  membership: Membership
  writer: Writer
  keyRing: KeyRing
  provider: Provider
  listener: SessionListener
  alerts: RunnerTools['alerts']
  /** The deployment's. */
  settings: EffectiveSessionSettings
  log: Logger
  /** Told of sessions that this process owned and that others may claim now. */
  onReleased: (sessionId: string) => void
}

/** The sessions that this process owns: makes of each what its company wants. */
export class SessionHost implements AsyncDisposable {
  readonly #database: Database
  readonly #membership: Membership
  readonly #claimer: SessionClaimer
  readonly #tools: RunnerTools
  /** Of the sessions that run here. */
  readonly #runners = new Map<string, SessionRunner>()
  /** Sessions that are being looked at: whether something has changed meanwhile. */
  readonly #looking = new Map<string, { again: boolean }>()
  readonly #givingUp = new AbortController()
  readonly #ending = new AbortController()
  readonly #sweep: NodeJS.Timeout

  constructor(options: SessionHostOptions) {
    const { database, membership, writer, keyRing, provider, listener, alerts, settings, log, onReleased } = options
    const contacts = new LRUCache<string, ContactBook>({
      max: MAX_CONTACT_BOOKS,
      memoMethod: (companyId) => createContactBook(database, companyId),
    })
    this.#database = database
    this.#membership = membership
    this.#tools = {
      ...{ database, writer, keyRing, provider, listener, alerts, settings, log },
      slots: new ConnectSlots(CONNECT_LIMITS),
      transitions: new TransitionBatcher(database),
      versions: new OutdatedVersions(),
      quarantine: new Quarantine({ database, alerts }),
      contactsOf: (companyId) => contacts.memo(companyId),
      givingUp: this.#givingUp.signal,
    }
    this.#claimer = new SessionClaimer({
      ...{ database, membership, log },
      running: () => this.#runners.size,
      claimed: (claim) => this.#run(claim),
      notClaimed: (sessionId) => {
        if (this.#runners.has(sessionId)) this.lookAt(sessionId)
      },
      handOver: (count) => this.#handOver(count),
      released: (leases) => {
        for (const { sessionId } of leases) onReleased(sessionId)
      },
    })
    this.#sweep = setInterval(() => this.#lookAtOwn(), LOOK_EVERY_MS).unref()
  }

  /**
   * Joins those that own sessions: from then on this process owns what it is told to look at, unless another one does.
   * `onBegan` is told of each life under which it does.
   */
  async join(onBegan: (life: NodeLife) => void = () => undefined): Promise<void> {
    await this.#membership.join({
      began: (life) => {
        onBegan(life)
        this.#claimer.look()
      },
      fenced: () => this.#fence(),
      changed: () => this.#claimer.look(),
    })
  }

  /** From now on takes up whatever nobody owns. */
  claimAll(): void {
    this.#claimer.claimAll()
  }

  /** The session's row has changed: makes of the session what is wanted now, if it is ours. Never throws. */
  lookAt(sessionId: string): void {
    if (this.#ending.signal.aborted) return
    if (!this.#runners.has(sessionId)) {
      this.#claimer.lookAt(sessionId)
      return
    }
    const looking = this.#looking.get(sessionId)
    if (looking !== undefined) {
      looking.again = true
      return
    }
    const look = { again: false }
    this.#looking.set(sessionId, look)
    void this.#look(sessionId, look)
  }

  /** Changes may have been missed: looks at everything of its own that may need it, and at what nobody owns. Never throws. */
  lookAtAll(): void {
    this.#claimer.look()
    this.#lookAtOwn()
  }

  #lookAtOwn(): void {
    const { life } = this.#membership
    if (life === undefined) return
    listToLookAt(this.#database, life).then(
      (sessionIds) => {
        for (const sessionId of sessionIds) this.lookAt(sessionId)
      },
      (err: unknown) => this.#tools.log.warn({ err }, 'It could not be seen what has changed; the next look follows.'),
    )
  }

  /** An error of the session's that nobody has caught ends the process. */
  blame(sessionId: string): void {
    this.#runners.get(sessionId)?.blame()
  }

  /** Closes all connections; the sessions are taken up again by other processes, or by the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort()
    clearInterval(this.#sweep)
    await this.#claimer[Symbol.asyncDispose]()
    const giveUp = setTimeout(() => {
      this.#givingUp.abort()
      // Whoever takes a session up just now waits for the database as well.
      for (const sessionId of this.#runners.keys()) this.#tools.listener.released(sessionId)
    }, LAST_WORDS_MS)
    await Promise.all([...this.#runners.values()].map((runner) => runner.stop()))
    clearTimeout(giveUp)
  }

  async #look(sessionId: string, look: { again: boolean }): Promise<void> {
    for (let failures = 0; !this.#ending.signal.aborted; ) {
      look.again = false
      try {
        const session = await readSession(this.#database.worker, sessionId)
        const runner = this.#runners.get(sessionId)
        if (session !== undefined) runner?.desire(session.desired)
        runner?.look()
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

  #run(claim: Claim): void {
    const { session, lease } = claim
    const runner = new SessionRunner(claim, this.#tools)
    this.#runners.set(session.id, runner)
    void runner.ended.then((end) => this.#ended(runner, lease, end))
  }

  #ended(runner: SessionRunner, lease: Lease, end: RunnerEnd): void {
    // After a lost lease the session may have come back to this process already.
    if (this.#runners.get(lease.sessionId) === runner) this.#runners.delete(lease.sessionId)
    if (end === 'lease_lost') return
    const afterMs = end === 'over' ? 0 : STORE_FAILED_PAUSE_MS
    void pause(afterMs, this.#ending.signal).then(() => this.#claimer.release(lease))
  }

  /** To a node that has fewer. Whoever is just scanning a code would be left with one that is worth nothing. */
  #handOver(count: number): void {
    const settled = [...this.#runners.values()].filter(({ isBeingLinked }) => !isBeingLinked)
    for (const runner of settled.slice(-count)) void runner.stop()
  }

  /** Others may own the sessions by now: the sockets are closed before anything else is done. */
  async #fence(): Promise<void> {
    this.#tools.writer.fence()
    const runners = [...this.#runners.values()]
    await Promise.all(runners.map(({ ended }) => ended))
  }
}
