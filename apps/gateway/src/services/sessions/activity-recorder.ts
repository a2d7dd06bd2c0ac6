import type { Logger } from 'pino'
import type { Database } from '#src/storage/database.ts'
import { type SessionActivity, storeSessionActivity } from '#src/storage/session-activity.ts'
import type { CommittedChanges } from '#src/storage/writer/writer.ts'

const STORE_EVERY_MS = 5_000

type Moment = 'lastInboundAt' | 'lastOutboundAt' | 'phoneSeenAt'

/** Notes when the sessions of this process were last used; stored for all of them together, a few seconds late. */
export class ActivityRecorder implements AsyncDisposable {
  readonly #database: Database
  readonly #log: Logger
  /** By session: what is not stored yet. Bounded by the sessions of this process. */
  #noted = new Map<string, SessionActivity>()
  readonly #timer: NodeJS.Timeout
  #storing: Promise<void> = Promise.resolve()

  constructor({ database, log }: { database: Database; log: Logger }) {
    this.#database = database
    this.#log = log
    this.#timer = setInterval(() => {
      this.#storing = this.#storing.then(() => this.#store())
    }, STORE_EVERY_MS)
    this.#timer.unref()
  }

  committed(batch: readonly CommittedChanges[]): void {
    const now = new Date()
    for (const { sessionId, companyId, messages, receipts } of batch) {
      const session = { sessionId, companyId }
      if (messages.some(({ direction }) => direction === 'inbound')) this.#note(session, 'lastInboundAt', now)
      const hasSent =
        messages.some(({ direction }) => direction === 'outbound') || receipts.some(({ status }) => status === 'sent')
      if (hasSent) this.#note(session, 'lastOutboundAt', now)
    }
  }

  phoneSeen(session: { sessionId: string; companyId: string }, at: Date): void {
    this.#note(session, 'phoneSeenAt', at)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await this.#storing
    await this.#store()
  }

  #note({ sessionId, companyId }: { sessionId: string; companyId: string }, moment: Moment, at: Date): void {
    const noted = this.#noted.get(sessionId)
    if (noted === undefined) this.#noted.set(sessionId, { sessionId, companyId, [moment]: at })
    else noted[moment] = at
  }

  async #store(): Promise<void> {
    if (this.#noted.size === 0) return
    const noted = this.#noted
    this.#noted = new Map()
    try {
      await storeSessionActivity(this.#database, [...noted.values()])
    } catch (err) {
      this.#log.warn({ err }, 'When sessions were last used could not be stored; it is stored next time.')
      // What was noted meanwhile is newer.
      for (const [sessionId, earlier] of noted)
        this.#noted.set(sessionId, { ...earlier, ...this.#noted.get(sessionId) })
    }
  }
}
