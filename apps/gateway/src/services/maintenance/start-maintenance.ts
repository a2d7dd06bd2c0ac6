import type { Logger } from 'pino'
import type { Alerts } from '#src/services/alerts/alerts.ts'
import { watchPhones } from '#src/services/sessions/phone-silence.ts'
import type { Database } from '#src/storage/database.ts'
import { maintain } from '#src/storage/retention.ts'

const EVERY_MS = 60 * 60 * 1000

export interface MaintenanceOptions {
  database: Database
  alerts: Pick<Alerts, 'raise' | 'clear'>
  log: Logger
}

/** Keeps the database in order, now and every hour until it is disposed of. What fails is tried again an hour later. */
export async function startMaintenance({ database, alerts, log }: MaintenanceOptions): Promise<AsyncDisposable> {
  const work = async () => {
    try {
      log.debug({ ...(await maintain(database, new Date())) }, 'The database is in order.')
      await watchPhones(database, alerts)
    } catch (err) {
      log.error({ err }, 'The database could not be put in order; trying again in an hour.')
    }
  }
  let working = work()
  await working
  const timer = setInterval(() => {
    working = work()
  }, EVERY_MS)
  timer.unref()
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await working
    },
  }
}
