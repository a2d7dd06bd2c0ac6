import type { Logger } from 'pino'
import type { Alerts } from '#src/services/alerts/alerts.ts'
import { finishKeyRotation } from '#src/services/security/rotate-data-keys.ts'
import { watchPhones } from '#src/services/sessions/phone-silence.ts'
import { listOutlivedAlerts } from '#src/storage/alerts.ts'
import type { Database } from '#src/storage/database.ts'
import type { KeyRing } from '#src/storage/key-ring.ts'
import { maintain } from '#src/storage/retention.ts'

const EVERY_MS = 60 * 60 * 1000
/** Keys that a rotation has replaced stay for so long, for processes that are late. */
const FORMER_KEYS_KEPT_MS = 24 * EVERY_MS

export interface MaintenanceOptions {
  database: Database
  keyRing: KeyRing
  alerts: Pick<Alerts, 'raise' | 'clear'>
  log: Logger
}

/** Keeps the database in order, now and every hour until it is disposed of. What fails is tried again an hour later. */
export async function startMaintenance({
  database,
  keyRing,
  alerts,
  log,
}: MaintenanceOptions): Promise<AsyncDisposable> {
  const ending = new AbortController()
  const work = async () => {
    try {
      log.debug({ ...(await maintain(database, new Date())) }, 'The database is in order.')
      await watchPhones(database, alerts)
      for (const outlived of await listOutlivedAlerts(database.worker)) alerts.clear(outlived)
    } catch (err) {
      log.error({ err }, 'The database could not be put in order; trying again in an hour.')
    }
  }
  const finishRotations = async () => {
    try {
      const rotation = { database, keyRing, signal: ending.signal }
      const { unreadable } = await finishKeyRotation(rotation, FORMER_KEYS_KEPT_MS)
      if (unreadable.length > 0)
        log.error(
          { companyIds: unreadable },
          'Of these companies a value cannot be opened; they keep their former keys.',
        )
    } catch (err) {
      log.error({ err }, 'Keys that were replaced could not be dropped; trying again in an hour.')
    }
  }
  await work()
  // Nobody waits for this: with many values it takes its time.
  let working = finishRotations()
  const timer = setInterval(() => {
    working = work().then(finishRotations)
  }, EVERY_MS)
  timer.unref()
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      ending.abort()
      await working
    },
  }
}
