import { Agent } from 'node:https'
import { createSecureContext } from 'node:tls'
import type { AuthenticationCreds, UserFacingSocketConfig, WAVersion } from 'baileys'
import type { ProviderSettings } from '#src/providers/provider.ts'
import type { RatchetStore } from './ratchet-store.ts'
import type { SessionCaches } from './shared-caches.ts'

/** How long the server may take to answer a query, milliseconds. */
const QUERY_TIMEOUT_MS = 30_000

/** One TLS context for all sessions: 18 KB less for each. */
let sharedAgent: Agent | undefined

export interface SocketConfigOptions {
  creds: AuthenticationCreds
  ratchets: RatchetStore
  caches: SessionCaches
  settings: ProviderSettings
  logger: NonNullable<UserFacingSocketConfig['logger']>
  /** The emulator's address; WhatsApp's own when left out. */
  url: string | undefined
}

/** Baileys' configuration for thousands of sessions in one process, without the hooks. */
export function socketConfig(options: SocketConfigOptions): UserFacingSocketConfig {
  const { creds, ratchets, caches, settings, logger, url } = options
  sharedAgent ??= new Agent({ secureContext: createSecureContext() })
  return {
    auth: { creds, keys: ratchets.keys },
    logger,
    ...caches,
    ...(url === undefined ? { agent: sharedAgent } : { waWebSocketUrl: url }),
    ...(settings.waVersion === undefined ? {} : { version: parseVersion(settings.waVersion) }),
    keepAliveIntervalMs: settings.keepAliveIntervalMs,
    qrTimeout: settings.qrTimeoutMs,
    defaultQueryTimeoutMs: QUERY_TIMEOUT_MS,
    // Baileys arms a timer and captures two stack traces for every frame that it sends under this limit. The gate
    // answers at once, and the connection has a deadline of its own.
    connectTimeoutMs: 0,
    // 63 KB for each session; sent messages are found in the database instead. Its other effect, a pause of two seconds
    // for every undecryptable message, is defused in undecryptable-messages.ts.
    enableRecentMessageCache: false,
    // A pause under the lock under which all messages of the session are handled.
    retryRequestDelayMs: 0,
    syncFullHistory: false,
    markOnlineOnConnect: false,
    emitOwnEvents: false,
  }
}

function parseVersion(version: string): WAVersion {
  const [primary = 0, secondary = 0, tertiary = 0] = version.split('.').map(Number)
  return [primary, secondary, tertiary]
}
