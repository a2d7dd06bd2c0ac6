import type { LookupFunction } from 'node:net'
import type { Logger } from 'pino'
import type { Provider } from '#src/providers/provider.ts'
import { BaileysConnection, type ConnectionEnvironment } from './baileys-connection.ts'
import { baileysLogger } from './baileys-logger.ts'
import { SharedCaches } from './shared-caches.ts'
import { silenceLibsignal } from './silence-libsignal.ts'
import { useSmallBufferPool } from './small-buffer-pool.ts'
import { verifySignaturesStrictly } from './strict-signatures.ts'
import { trustEmulator } from './trust-emulator.ts'

export interface BaileysProviderOptions {
  logger?: Logger
  /** Connects to the emulator instead of WhatsApp. The root key holds for the whole process. */
  emulator?: { url: string; rootKey: string }
  /** As `dns.lookup`, for the hosts of sessions' proxies, which companies name: it may refuse one. */
  proxyLookup?: LookupFunction
  /** Shorter times for tests, milliseconds: to acknowledge a message, to connect, to link. */
  timeouts?: ConnectionEnvironment['timeouts']
}

const FORGET_KEYS_EVERY_MS = 60_000

/** WhatsApp Web sessions through unmodified Baileys, with everything that it lacks added from outside. */
export function createBaileysProvider(options: BaileysProviderOptions = {}): Provider {
  const { logger, emulator, proxyLookup, timeouts = {} } = options
  useSmallBufferPool()
  verifySignaturesStrictly()
  silenceLibsignal()
  if (emulator) trustEmulator(emulator.rootKey)
  const environment: ConnectionEnvironment = {
    caches: new SharedCaches(),
    logger: baileysLogger(logger),
    url: emulator?.url,
    proxyLookup,
    timeouts,
  }
  const connections = new Set<BaileysConnection>()
  let sweeper: NodeJS.Timeout | undefined

  return {
    name: 'baileys',
    open(session) {
      const connection = new BaileysConnection(session, environment)
      connections.add(connection)
      sweeper ??= setInterval(() => {
        for (const open of connections) open.forgetIdleKeys()
      }, FORGET_KEYS_EVERY_MS).unref()
      void connection.ended.then(() => {
        connections.delete(connection)
        if (connections.size > 0) return
        clearInterval(sweeper)
        sweeper = undefined
      })
      return connection
    },
  }
}
