import type { DisconnectReason } from '#src/model/disconnect-reason.ts'
import type { FinalState } from '#src/model/session-state.ts'
import { MAX_TIMER_MS } from '#src/model/steady-now.ts'
import { RECONNECT_POLICY } from './reconnect-policy.ts'

/** The least that is doubled, milliseconds: doubling nothing would make no delay of it, however often it fails. */
const MIN_DELAY_MS = 100
/** The longest wait between two fast attempts, milliseconds. */
const MAX_DELAY_MS = 60_000
/** After the fast attempts, and where hurry does harm. The first half of each is always waited. */
const SLOW_DELAY_MS = 5 * 60_000
const LONG_DELAY_MS = 20 * 60_000
/** Sessions that WhatsApp has banned until the same moment do not all come back in it. */
const BAN_JITTER_MS = 60_000
/** WhatsApp, asked too often to link, without saying when one may again. */
const LINKING_PAUSE_MS = 60 * 60_000
/** What may happen once, may happen once in so long. */
const IMMEDIATE_EVERY_MS = 60_000
const TRY_ONCE_EVERY_MS = 10 * 60_000

export interface ReconnectSettings {
  /** Before the first attempt; it doubles with each further one. */
  reconnectDelayMs: number
  /** Fast attempts. After them a linked session goes on slowly, and never gives up; one that links does. */
  maxReconnectAttempts: number
}

export interface Disconnection {
  reason: DisconnectReason
  isLinked: boolean
  /** When WhatsApp has said to come back. */
  retryAt?: Date
}

export type NextStep =
  /** `isSlow`: the fast attempts are used up. */
  | { kind: 'reconnect'; delayMs: number; isSlow: boolean }
  | { kind: 'end'; state: FinalState; nextAttemptAt?: Date }
  | { kind: 'leave' }

/** What follows each time that a session's connection ends: the policy, and what has happened before. */
export class ReconnectPlan {
  readonly #random: () => number
  readonly #now: () => number
  #attempts: number
  #lastImmediateMs = Number.NEGATIVE_INFINITY
  #lastTryMs = Number.NEGATIVE_INFINITY

  /** `attempts`: made by a former owner. `now`: milliseconds of a clock that only goes forward. */
  constructor(attempts = 0, random: () => number = Math.random, now: () => number = () => performance.now()) {
    this.#attempts = attempts
    this.#random = random
    this.#now = now
  }

  /** Attempts since the last good connection. */
  get attempts(): number {
    return this.#attempts
  }

  /** The connection has proved to be a good one, or somebody has asked for a new beginning. */
  reset(): void {
    this.#attempts = 0
    this.#lastImmediateMs = Number.NEGATIVE_INFINITY
    this.#lastTryMs = Number.NEGATIVE_INFINITY
  }

  after({ reason, isLinked, retryAt }: Disconnection, settings: ReconnectSettings): NextStep {
    const policy = RECONNECT_POLICY[reason]
    switch (policy.kind) {
      case 'leave':
        return policy
      case 'stop':
        return { kind: 'end', state: policy.state, ...this.#pauseAfter(reason, retryAt) }
      case 'try_once': {
        const now = this.#now()
        if (now - this.#lastTryMs < TRY_ONCE_EVERY_MS) return { kind: 'end', state: policy.state }
        this.#lastTryMs = now
        return {
          kind: 'reconnect',
          delayMs: this.#between(2, 4) * Math.max(settings.reconnectDelayMs, MIN_DELAY_MS),
          isSlow: false,
        }
      }
      case 'reconnect':
        return this.#reconnect(policy.delay, isLinked, settings, retryAt)
    }
  }

  #reconnect(
    delay: 'none' | 'backoff' | 'long',
    isLinked: boolean,
    settings: ReconnectSettings,
    retryAt: Date | undefined,
  ): NextStep {
    const now = this.#now()
    if (delay === 'none' && now - this.#lastImmediateMs > IMMEDIATE_EVERY_MS) {
      this.#lastImmediateMs = now
      return { kind: 'reconnect', delayMs: 0, isSlow: false }
    }
    const { maxReconnectAttempts } = settings
    const reconnectDelayMs = Math.max(settings.reconnectDelayMs, MIN_DELAY_MS)
    // Nobody waits so long in front of a screen that is to show a code.
    if (!isLinked && (delay === 'long' || this.#attempts >= maxReconnectAttempts))
      return { kind: 'end', state: 'created', ...(retryAt && { nextAttemptAt: retryAt }) }
    this.#attempts += 1
    if (delay === 'long') return { kind: 'reconnect', delayMs: this.#longDelayMs(retryAt), isSlow: false }
    const isSlow = this.#attempts > maxReconnectAttempts
    // Full jitter: what fell together does not come back together.
    const delayMs = isSlow
      ? this.#between(0.5, 1) * SLOW_DELAY_MS
      : this.#random() * Math.min(MAX_DELAY_MS, reconnectDelayMs * 2 ** Math.min(this.#attempts - 1, 30))
    return { kind: 'reconnect', delayMs, isSlow }
  }

  #longDelayMs(retryAt: Date | undefined): number {
    if (retryAt === undefined) return this.#between(0.5, 1) * LONG_DELAY_MS
    const leftMs = Math.max(0, retryAt.getTime() - Date.now())
    return Math.min(leftMs + this.#random() * BAN_JITTER_MS, MAX_TIMER_MS)
  }

  #pauseAfter(reason: DisconnectReason, retryAt: Date | undefined): { nextAttemptAt?: Date } {
    if (retryAt !== undefined) return { nextAttemptAt: retryAt }
    return reason === 'linking_throttled' ? { nextAttemptAt: new Date(Date.now() + LINKING_PAUSE_MS) } : {}
  }

  #between(low: number, high: number): number {
    return low + this.#random() * (high - low)
  }
}
