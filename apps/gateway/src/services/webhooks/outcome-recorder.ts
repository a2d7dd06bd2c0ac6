import type { Logger } from 'pino'
import type { Alerts } from '#src/services/alerts/alerts.ts'
import { backoffMs, pause } from '#src/services/lanes/backoff.ts'
import type { WorkerDatabase } from '#src/storage/database.ts'
import {
  type AttemptOutcome,
  type EndpointStanding,
  FAILURES_TO_PAUSE,
  storeOutcomes,
} from '#src/storage/delivery-claims.ts'
import { isDataError } from '#src/storage/writer/is-data-error.ts'

const STORE_AGAIN = { firstMs: 250, maxMs: 5_000 }
const MAX_TOGETHER = 500

export interface OutcomeRecorderOptions {
  database: WorkerDatabase
  alerts: Pick<Alerts, 'raise' | 'clear'>
  log: Logger
  signal: AbortSignal
}

/** Stores outcomes of attempts: what comes while a statement is under way goes into the next one together. */
export class OutcomeRecorder {
  readonly #options: OutcomeRecorderOptions
  readonly #waiting: { outcome: AttemptOutcome; done: () => void }[] = []
  #isStoring = false

  constructor(options: OutcomeRecorderOptions) {
    this.#options = options
  }

  /** Resolves when it is stored, or when it cannot be or `signal` is aborted: then the attempt is made again. */
  store(outcome: AttemptOutcome): Promise<void> {
    return new Promise((done) => {
      this.#waiting.push({ outcome, done })
      if (!this.#isStoring) void this.#storeAll()
    })
  }

  async #storeAll(): Promise<void> {
    this.#isStoring = true
    // What comes in the same turn goes together.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const together = this.#waiting.splice(0, MAX_TOGETHER)
      const outcomes = together.map(({ outcome }) => outcome)
      for (const standing of await this.#storeTogether(outcomes)) this.#tell(standing)
      for (const { endpoint } of outcomes.filter(({ isGone }) => isGone)) {
        this.#options.alerts.raise({ kind: 'webhook_gone', companyId: endpoint.companyId, endpointId: endpoint.id })
      }
      for (const { done } of together) done()
    }
    this.#isStoring = false
  }

  /** Never rejects. */
  async #storeTogether(outcomes: readonly AttemptOutcome[]): Promise<EndpointStanding[]> {
    const { database, log, signal } = this.#options
    for (let failures = 1; ; failures++) {
      try {
        return await storeOutcomes(database.worker, outcomes)
      } catch (err) {
        if (signal.aborted) return []
        if (isDataError(err)) return await this.#storeApart(outcomes, err)
        if (failures === 1) log.warn({ err }, 'Outcomes of webhook deliveries could not be stored; trying again.')
        await pause(backoffMs(failures, STORE_AGAIN), signal)
      }
    }
  }

  /** One endpoint's outcome must not hold up the others': each on its own tells which one it is that is refused. */
  async #storeApart(outcomes: readonly AttemptOutcome[], err: unknown): Promise<EndpointStanding[]> {
    if (outcomes.length === 1) {
      // Nothing would change it. The delivery is attempted again, as if the process had died in the middle of it.
      const deliveryId = outcomes[0]?.delivery.id
      this.#options.log.error({ err, deliveryId }, 'The outcome of a webhook delivery is refused.')
      return []
    }
    const standings: EndpointStanding[] = []
    for (const outcome of outcomes) standings.push(...(await this.#storeTogether([outcome])))
    return standings
  }

  #tell({ id, companyId, failures, failuresBefore }: EndpointStanding): void {
    const subject = { kind: 'webhook_failing', companyId, endpointId: id } as const
    if (failures >= FAILURES_TO_PAUSE) this.#options.alerts.raise(subject, { failures })
    else if (failuresBefore >= FAILURES_TO_PAUSE) this.#options.alerts.clear(subject)
  }
}
