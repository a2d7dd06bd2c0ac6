/** So many things a minute; as many as that may come at once after a time of rest. Infinity: no limit. */
interface Rate {
  perMinute: number
}

/**
 * A token bucket that hands out moments instead of refusing: who comes when it is empty is told when its turn is, in the
 * order of asking. It remembers one number: the moment at which it is full again.
 */
export class TokenBucket {
  #rate: Rate
  #fullAtMs = Number.NEGATIVE_INFINITY

  constructor(rate: Rate) {
    this.#rate = rate
  }

  /** How long one token takes to come, milliseconds. */
  get intervalMs(): number {
    return 60_000 / this.#rate.perMinute
  }

  /** Takes a token. The moment from which it may be used: `nowMs`, or later. */
  take(nowMs: number): number {
    const turnMs = this.nextTurn(nowMs)
    if (Number.isFinite(this.#rate.perMinute)) this.#fullAtMs = Math.max(this.#fullAtMs, nowMs) + this.intervalMs
    return turnMs
  }

  /** The moment that `take` would answer with. */
  nextTurn(nowMs: number): number {
    if (!Number.isFinite(this.#rate.perMinute)) return nowMs
    // Everything beyond the capacity has to be waited for.
    return Math.max(nowMs, Math.max(this.#fullAtMs, nowMs) + this.intervalMs - this.#capacityMs)
  }

  /** Another rate from now on. Turns that were given out keep their moments. */
  set rate(rate: Rate) {
    this.#rate = rate
  }

  /** Nothing is left at this moment: what comes next waits for a new token. Turns that were given out count no more. */
  empty(nowMs: number): void {
    this.#fullAtMs = nowMs + this.#capacityMs
  }

  /** How long an empty bucket takes to be full. */
  get #capacityMs(): number {
    return Math.max(1, Math.floor(this.#rate.perMinute)) * this.intervalMs
  }
}
