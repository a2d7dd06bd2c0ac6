import type { Logger } from 'pino'
import { backoffMs, pause } from '#src/services/lanes/backoff.ts'
import type { Membership } from '#src/services/supervisor/membership.ts'
import type { Database } from '#src/storage/database.ts'
import { type Claim, claimSessions, type Lease, readOwnership, releaseLeases } from '#src/storage/leases.ts'
import type { NodeLife } from '#src/storage/nodes.ts'

/** Sessions that are claimed together, and the pause before the next ones: other nodes get theirs meanwhile. */
const BATCH = 100
const BATCH_PAUSE_MS = 200
/** The backstop for whatever nobody has told of. */
const INTERVAL_MS = 5000
/** Sessions that are other nodes' share are left to them for so long. */
const PATIENCE_MS = 2500
const PATIENCE_STEP_MS = 500
/** A node with more than its share hands over so many at a time, so that hardly any are offline at once. */
const HAND_OVER_AT_ONCE = 10
const HAND_OVER_INTERVAL_MS = 2000
const AGAIN = { firstMs: 250, maxMs: 5000 }

export interface SessionClaimerOptions {
  database: Database
  membership: Membership
  log: Logger
  /** How many sessions run here. */
  running: () => number
  /** It is ours from now on. */
  claimed: (claim: Claim) => void
  /** It could not be claimed: somebody owns it, perhaps we, or nobody wants anything of it. */
  notClaimed: (sessionId: string) => void
  /** This node has too many: lets go of some. */
  handOver: (count: number) => void
  /** These are nobody's any more: others may want to know. */
  released: (leases: readonly Lease[]) => void
}

/**
 * Decides which sessions this process owns. Whatever nobody owns is claimed: a node takes its share of all sessions at
 * once, and what others leave after a moment. One step at a time, so that a claim never meets a release.
 */
export class SessionClaimer implements AsyncDisposable {
  readonly #options: SessionClaimerOptions
  readonly #ending = new AbortController()
  readonly #named = new Set<string>()
  /** Of the life that they belong to: a life that is over needs no release. */
  #releases: { life: NodeLife; lease: Lease }[] = []
  #woken = Promise.withResolvers<void>()
  #claimsAll = false
  #isLookDue = false
  /** Since when free sessions are left to others. */
  #patientSinceMs: number | undefined
  #handedOverAtMs = Number.NEGATIVE_INFINITY
  #share = Number.POSITIVE_INFINITY
  #next: NodeJS.Timeout | undefined
  readonly #working: Promise<void>

  constructor(options: SessionClaimerOptions) {
    this.#options = options
    this.#working = this.#work()
  }

  /** From now on claims whatever nobody owns, and not only what it is told of. */
  claimAll(): void {
    this.#claimsAll = true
    this.look()
  }

  /** Sessions may have become free. */
  look(): void {
    this.#isLookDue = true
    this.#woken.resolve()
  }

  /** This session may be wanted, and nobody own it. */
  lookAt(sessionId: string): void {
    this.#named.add(sessionId)
    this.#woken.resolve()
  }

  /** Nothing of the session runs here any more. */
  release(lease: Lease): void {
    const { life } = this.#options.membership
    if (life !== undefined) this.#releases.push({ life, lease })
    this.lookAt(lease.sessionId)
  }

  /** Claims nothing more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort()
    clearTimeout(this.#next)
    this.#woken.resolve()
    await this.#working
  }

  async #work(): Promise<void> {
    const { signal } = this.#ending
    for (let failures = 0; !signal.aborted; ) {
      await this.#woken.promise
      this.#woken = Promise.withResolvers()
      const { life } = this.#options.membership
      // When the next life begins, everything is looked at.
      if (life === undefined || signal.aborted) continue
      try {
        await this.#release(life)
        await this.#claimNamed(life)
        if (this.#claimsAll && this.#isLookDue) await this.#claimShare(life)
        failures = 0
      } catch (err) {
        failures += 1
        this.#options.log.warn({ err }, 'Sessions could not be claimed; trying again.')
        await pause(backoffMs(failures, AGAIN), signal)
        this.look()
      }
    }
  }

  async #release(life: NodeLife): Promise<void> {
    this.#releases = this.#releases.filter((release) => release.life === life)
    const leases = this.#releases.map(({ lease }) => lease)
    if (leases.length === 0) return
    await releaseLeases(this.#options.database, leases)
    this.#releases.splice(0, leases.length)
    this.#options.released(leases)
  }

  async #claimNamed(life: NodeLife): Promise<void> {
    const { database, running, notClaimed } = this.#options
    const among = [...this.#named]
    const limit = Math.min(among.length, Math.max(this.#share - running(), 0))
    if (limit < among.length) this.#isLookDue = true
    this.#named.clear()
    try {
      const claims = limit === 0 ? [] : await claimSessions(database, life, { limit, among })
      this.#take(life, claims)
      const claimed = new Set(claims.map(({ lease }) => lease.sessionId))
      for (const sessionId of among) if (!claimed.has(sessionId)) notClaimed(sessionId)
    } catch (error) {
      for (const sessionId of among) this.#named.add(sessionId)
      throw error
    }
  }

  async #claimShare(life: NodeLife): Promise<void> {
    const { database, running, handOver } = this.#options
    const { nodes, wanted, free } = await readOwnership(database)
    const isAlone = nodes <= 1
    const share = Math.ceil(wanted / nodes)
    // What is wanted from now on is ours as well, as long as there is nobody else.
    this.#share = isAlone ? Number.POSITIVE_INFINITY : share
    this.#isLookDue = false
    this.#lookIn(INTERVAL_MS)
    const excess = running() - share
    if (free === 0) {
      this.#patientSinceMs = undefined
      // There may be more than are wanted: some are just being paused.
      if (excess <= 0 || isAlone) return
      if (performance.now() - this.#handedOverAtMs > HAND_OVER_INTERVAL_MS) {
        this.#handedOverAtMs = performance.now()
        handOver(Math.min(excess, HAND_OVER_AT_ONCE))
      }
      this.#lookIn(HAND_OVER_INTERVAL_MS)
      return
    }
    const limit = Math.min(BATCH, excess < 0 ? -excess : !isAlone && this.#isPatient() ? 0 : BATCH)
    if (limit > 0) this.#take(life, await claimSessions(database, life, { limit }))
    this.#lookIn(limit > 0 ? BATCH_PAUSE_MS : PATIENCE_STEP_MS)
  }

  #isPatient(): boolean {
    this.#patientSinceMs ??= performance.now()
    return performance.now() - this.#patientSinceMs < PATIENCE_MS
  }

  #take(life: NodeLife, claims: readonly Claim[]): void {
    // Of a life that has ended meanwhile nothing is ours.
    if (this.#options.membership.life !== life) return
    for (const claim of claims) this.#options.claimed(claim)
  }

  #lookIn(ms: number): void {
    clearTimeout(this.#next)
    this.#next = setTimeout(() => this.look(), ms)
  }
}
