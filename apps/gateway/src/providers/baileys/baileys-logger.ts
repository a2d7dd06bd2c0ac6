import type { UserFacingSocketConfig } from 'baileys'
import type { Logger } from 'pino'

type BaileysLogger = NonNullable<UserFacingSocketConfig['logger']>

/**
 * What Baileys logs, reduced to its own sentences. What it hands over besides them holds stanzas, keys and messages, so
 * that is never passed on; its errors are trouble that the provider reports as state, so they are details here.
 */
export function baileysLogger(log: Logger | undefined): BaileysLogger {
  const note = (_details: unknown, message?: string) => log?.debug({ module: 'baileys' }, withoutNumbers(message ?? ''))
  const ignore = () => undefined
  const logger: BaileysLogger = {
    // Baileys formats stanzas at this level alone, and compares the name only.
    level: 'silent',
    child: () => logger,
    trace: ignore,
    debug: ignore,
    info: ignore,
    warn: log ? note : ignore,
    error: log ? note : ignore,
  }
  return logger
}

/** Phone numbers and LIDs stand inside of some sentences. */
export const withoutNumbers = (message: string): string => message.replace(/\d{5,}/g, '…')
