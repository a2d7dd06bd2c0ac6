import { setTimeout as delay } from 'node:timers/promises'

/**
 * Who connects first when many want to: a person waits in front of a code; then customers wait for answers; then all
 * others.
 */
const CONNECT_PRIORITIES = ['linking', 'messages_wait', 'usual'] as const
export type ConnectPriority = (typeof CONNECT_PRIORITIES)[number]

export interface ConnectLimits {
  /** Sessions that connect at once. */
  atOnce: number
  /** Connections begun in a second, and how many may be begun together after a quiet time. */
  perSecond: number
  burst: number
}

interface Waiter {
  /** Called with the slot's release. */
  grant(release: () => void): void
}

/**
 * The process's budget for connecting. When WhatsApp, the network or the process comes back, thousands of sessions want to
 * connect in the same moment: they do it one after the other, at a pace that both sides bear.
 */
export class ConnectSlots {
  readonly #limits: ConnectLimits
  readonly #waiting: Record<ConnectPriority, Set<Waiter>> = {
    linking: new Set(),
    messages_wait: new Set(),
    usual: new Set(),
  }
  #free: number
  #tokens: number
  #countedAtMs = performance.now()
  #isRefilling = false

  constructor(limits: ConnectLimits) {
    this.#limits = limits
    this.#free = limits.atOnce
    this.#tokens = limits.burst
  }

  /**
   * Resolves when the session may connect, with the way to say that it has; saying it twice does nothing. Resolves with
   * undefined when the signal is aborted first.
   */
  take(priority: ConnectPriority, signal: AbortSignal): Promise<(() => void) | undefined> {
    if (signal.aborted) return Promise.resolve(undefined)
    return new Promise((resolve) => {
      const queue = this.#waiting[priority]
      const forget = () => {
        queue.delete(waiter)
        resolve(undefined)
      }
      const waiter: Waiter = {
        grant: (release) => {
          signal.removeEventListener('abort', forget)
          resolve(release)
        },
      }
      queue.add(waiter)
      signal.addEventListener('abort', forget, { once: true })
      this.#grant()
    })
  }

  #grant(): void {
    this.#refill()
    while (this.#free > 0 && this.#tokens >= 1) {
      const queue = CONNECT_PRIORITIES.map((priority) => this.#waiting[priority]).find(({ size }) => size > 0)
      const [next] = queue ?? []
      if (next === undefined) return
      queue?.delete(next)
      this.#free -= 1
      this.#tokens -= 1
      let isTaken = true
      next.grant(() => {
        if (!isTaken) return
        isTaken = false
        this.#free += 1
        this.#grant()
      })
    }
    if (this.#free > 0 && CONNECT_PRIORITIES.some((priority) => this.#waiting[priority].size > 0)) this.#grantLater()
  }

  #refill(): void {
    const now = performance.now()
    const { perSecond, burst } = this.#limits
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#countedAtMs) / 1000) * perSecond)
    this.#countedAtMs = now
  }

  #grantLater(): void {
    if (this.#isRefilling) return
    this.#isRefilling = true
    void delay(Math.ceil(1000 / this.#limits.perSecond)).then(() => {
      this.#isRefilling = false
      this.#grant()
    })
  }
}
