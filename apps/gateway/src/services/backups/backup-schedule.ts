import type { Logger } from 'pino'
import type { Alerts } from '#src/services/alerts/alerts.ts'
import { claimDueBackup, noteBackup } from '#src/storage/backup-schedule.ts'
import { openBackupStore } from '#src/storage/backups/backup-store.ts'
import { type BackupSource, createBackup, pruneBackups } from './create-backup.ts'

const LOOK_EVERY_MS = 60_000

export interface BackupScheduleOptions {
  source: BackupSource
  url: string
  /** How often each company is backed up, milliseconds. */
  everyMs: number
  /** How many backups of each company are kept. */
  keep: number
  alerts: Pick<Alerts, 'raise' | 'clear'>
  log: Logger
}

/**
 * Backs each company up when it is due, one after the other, until it is disposed of. Several processes share the work.
 * What fails raises an alert and is tried again an hour later.
 */
export class BackupSchedule implements AsyncDisposable {
  readonly #options: BackupScheduleOptions
  readonly #timer: NodeJS.Timeout
  #working: Promise<void> | undefined
  #isEnding = false

  constructor(options: BackupScheduleOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#begin(), LOOK_EVERY_MS)
    this.#timer.unref()
    this.#begin()
  }

  /** Waits for the backup under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true
    clearInterval(this.#timer)
    await this.#working
  }

  #begin(): void {
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined
    })
  }

  async #work(): Promise<void> {
    const { source, everyMs, log } = this.#options
    try {
      while (!this.#isEnding) {
        const companyId = await claimDueBackup(source.database, everyMs)
        if (companyId === undefined) return
        await this.#backUp(companyId)
      }
    } catch (err) {
      log.warn({ err }, 'It could not be seen which backups are due; looking again in a minute.')
    }
  }

  async #backUp(companyId: string): Promise<void> {
    const { source, url, keep, alerts, log } = this.#options
    try {
      using store = await openBackupStore(url)
      const name = await createBackup(source, store, companyId)
      const removed = await pruneBackups(store, companyId, keep)
      await noteBackup(source.database, companyId, true)
      log.info({ companyId, name, removed }, 'A company was backed up.')
      alerts.clear({ kind: 'backup_failed', companyId })
    } catch (err) {
      log.error({ err, companyId }, 'A company could not be backed up; trying again in an hour.')
      alerts.raise({ kind: 'backup_failed', companyId })
      await noteBackup(source.database, companyId, false)
    }
  }
}
