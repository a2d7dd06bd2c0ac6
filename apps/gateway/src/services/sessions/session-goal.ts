import type { SessionIncident } from '#src/model/session-state.ts'
import type { DesiredState } from '#src/storage/schema-types.ts'

/** How long a session that is to be gone tries to tell the phone so, milliseconds. */
const UNLINK_LIMIT_MS = 60_000

/** What is to be made of a session: what its company wants, and whether there is a link that stands against it. */
export class SessionGoal {
  #desired: DesiredState
  #isLinked: boolean
  #isNumberTaken = false
  #unlinkUntilMs = Number.POSITIVE_INFINITY

  constructor(desired: DesiredState, isLinked: boolean) {
    this.#desired = 'running'
    this.#isLinked = isLinked
    this.desire(desired)
  }

  get desired(): DesiredState {
    return this.#desired
  }

  desire(desired: DesiredState): void {
    this.#desired = desired
    // The phone is not waited for as long as a person waits who wants it gone.
    if (desired === 'deleted') this.#limitUnlinking()
  }

  get isLinked(): boolean {
    return this.#isLinked
  }

  linked(isLinked: boolean): void {
    this.#isLinked = isLinked
  }

  /** Whether the phone's link is to be taken back: it is not wanted, or another session holds the number. */
  get mustUnlink(): boolean {
    const isUnwanted = this.#desired === 'logged_out' || this.#desired === 'deleted'
    return this.#isNumberTaken || (isUnwanted && this.#isLinked)
  }

  get isNumberTaken(): boolean {
    return this.#isNumberTaken
  }

  numberTaken(): void {
    this.#isNumberTaken = true
    this.#isLinked = false
    this.#limitUnlinking()
  }

  /** How long the phone is still to be told, milliseconds. */
  get unlinkingLeftMs(): number {
    return Math.max(0, this.#unlinkUntilMs - performance.now())
  }

  /** The phone has been told, or cannot be. What ends the session, if that is all that was wanted of it. */
  unlinked(): SessionIncident | undefined {
    const wasTaken = this.#isNumberTaken
    this.#isNumberTaken = false
    this.#isLinked = false
    this.#unlinkUntilMs = Number.POSITIVE_INFINITY
    if (wasTaken && this.#desired === 'running') return { kind: 'ended', reason: 'number_taken', state: 'created' }
    return this.rest()
  }

  /** What is wanted instead of a connection, if anything. */
  rest(): SessionIncident | undefined {
    if (this.mustUnlink) return this.unlinkingLeftMs > 0 ? undefined : this.unlinked()
    switch (this.#desired) {
      case 'running':
        return undefined
      case 'stopped':
        return { kind: 'stopped' }
      case 'logged_out':
        return { kind: 'unlinked' }
      case 'deleted':
        return { kind: 'deleted' }
    }
  }

  #limitUnlinking(): void {
    this.#unlinkUntilMs = Math.min(this.#unlinkUntilMs, performance.now() + UNLINK_LIMIT_MS)
  }
}
