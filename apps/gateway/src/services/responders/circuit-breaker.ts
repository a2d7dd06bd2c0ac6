import { LRUCache } from 'lru-cache'

/** After so many failures in a row, it is left alone for so long. */
export const FAILURES_TO_PAUSE = 10
export const PAUSE_MS = 30_000
/** Of more systems, those that were asked longest ago are thought to work. */
const MOST_CIRCUITS = 10_000

interface Circuit {
  failures: number
  pausedUntilMs: number
}

/**
 * Remembers which systems fail again and again, so that nobody waits for them. After each pause one request finds out
 * whether the system is back; another one may when that has not been heard of for as long as a pause.
 */
export class CircuitBreaker {
  readonly #failing = new LRUCache<string, Circuit>({ max: MOST_CIRCUITS })

  /** Whether the system may be asked now. Whoever is told yes tells what became of it. */
  admits(system: string, nowMs: number): boolean {
    const circuit = this.#failing.get(system)
    if (circuit === undefined || circuit.failures < FAILURES_TO_PAUSE) return true
    if (nowMs < circuit.pausedUntilMs) return false
    circuit.pausedUntilMs = nowMs + PAUSE_MS
    return true
  }

  succeeded(system: string): void {
    this.#failing.delete(system)
  }

  /** Whether it is left alone from now on. */
  failed(system: string, nowMs: number): boolean {
    const circuit = this.#failing.get(system) ?? { failures: 0, pausedUntilMs: 0 }
    circuit.failures += 1
    if (circuit.failures >= FAILURES_TO_PAUSE) circuit.pausedUntilMs = nowMs + PAUSE_MS
    this.#failing.set(system, circuit)
    return circuit.failures >= FAILURES_TO_PAUSE
  }
}
