import type { Logger } from 'pino'
import { sessionContext } from '#src/services/sessions/session-context.ts'

/** A process that cannot end cleanly in this time ends anyhow. */
const END_LIMIT_MS = 15_000

export interface StrayErrors extends Disposable {
  /** Resolves at the first one, with the id of the session that it came from, if it came from one. */
  readonly happened: Promise<string | undefined>
}

/**
 * Hears of errors that nobody has caught, in a listener, a timer or a promise. What they have left half done nobody
 * knows: the process must end, cleanly if it can, and with exit code 1. What is committed is the truth for the next one.
 */
export function catchStrayErrors(log: Logger): StrayErrors {
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  const listener = (err: unknown) => {
    const sessionId = sessionContext.getStore()
    log.fatal({ err, sessionId }, 'An error that nobody has caught ends this process.')
    process.exitCode = 1
    setTimeout(() => process.exit(), END_LIMIT_MS).unref()
    resolve(sessionId)
  }
  process.on('uncaughtException', listener)
  return {
    happened: promise,
    [Symbol.dispose]: () => void process.off('uncaughtException', listener),
  }
}
