import type { Logger } from 'pino'
import type { Database } from '#src/storage/database.ts'
import { maintain } from '#src/storage/retention.ts'

const EVERY_MS = 60 * 60 * 1000

/** Keeps the database in order, now and every hour until it is disposed of. What fails is tried again an hour later. */
export async function startMaintenance(database: Database, log: Logger): Promise<AsyncDisposable> {
  const work = async () => {
    try {
      log.debug({ ...(await maintain(database, new Date())) }, 'The database is in order.')
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
