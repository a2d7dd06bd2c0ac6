import type { Companion } from '../accounts/companion.ts'
import type { EmulatorState } from './state.ts'

type Condition = 'connected' | 'disconnected' | 'refused'

/** How long one companion was in each condition, as the server sees it. */
export class Uptime {
  logins = 0
  #condition: Condition = 'disconnected'
  #sinceMs = performance.now()
  #totals = noTime()

  get condition(): Condition {
    return this.#condition
  }

  enter(condition: Condition): void {
    this.#settle()
    this.#condition = condition
  }

  /** Milliseconds in each condition, up to now. */
  read(): Record<Condition, number> {
    this.#settle()
    return { ...this.#totals }
  }

  /** Counts from now on. */
  reset(): void {
    this.logins = 0
    this.#sinceMs = performance.now()
    this.#totals = noTime()
  }

  #settle(): void {
    const now = performance.now()
    this.#totals[this.#condition] += now - this.#sinceMs
    this.#sinceMs = now
  }
}

/** To be called whenever something may have changed of what decides a companion's condition. */
export function updateUptime(state: EmulatorState, companions: Iterable<Companion>): void {
  for (const companion of companions) {
    const condition = conditionOf(state, companion)
    if (condition !== companion.uptime.condition) companion.uptime.enter(condition)
  }
}

function conditionOf(state: EmulatorState, { connection, account }: Companion): Condition {
  // Through a stalled connection nothing goes, so whoever has it is not reachable.
  if (connection && !connection.isStalled) return 'connected'
  return (state.refusal ?? state.loginRefusal ?? account.loginRefusal) ? 'refused' : 'disconnected'
}

function noTime(): Record<Condition, number> {
  return { connected: 0, disconnected: 0, refused: 0 }
}
