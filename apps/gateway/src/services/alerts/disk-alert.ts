import type { Logger } from 'pino'
import type { Alerts } from './alerts.ts'

const SUBJECT = { kind: 'database_full' } as const
/** Whoever has something to store tries again far more often. */
const OVER_AFTER_MS = 30_000

export interface DiskAlertOptions {
  alerts: Pick<Alerts, 'raise' | 'clear'>
  log: Logger
  overAfterMs?: number
}

/** Says once that the database's disk is full, and once that it is not any more. */
export class DiskAlert implements Disposable {
  readonly #options: DiskAlertOptions
  #quiet: NodeJS.Timeout | undefined

  constructor(options: DiskAlertOptions) {
    this.#options = options
  }

  /** Whether the disk was found full just now. */
  get isFull(): boolean {
    return this.#quiet !== undefined
  }

  /** The database had no room for something. */
  full(): void {
    const { alerts, log, overAfterMs = OVER_AFTER_MS } = this.#options
    if (!this.isFull) {
      log.error('The disk of the database is full: nothing can be stored until there is room.')
      alerts.raise(SUBJECT)
    }
    clearTimeout(this.#quiet)
    this.#quiet = setTimeout(() => {
      this.#quiet = undefined
      log.info('The disk of the database has room again.')
      alerts.clear(SUBJECT)
    }, overAfterMs).unref()
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#quiet)
  }
}
