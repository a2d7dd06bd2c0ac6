import { Agent } from 'node:https'
import type { LookupFunction } from 'node:net'
import { createSecureContext, type SecureContext } from 'node:tls'
import {
  type AuthenticationCreds,
  DEFAULT_CONNECTION_CONFIG,
  proto,
  type UserFacingSocketConfig,
  type WABrowserDescription,
  type WAVersion,
} from 'baileys'
import { MAX_TIMER_MS } from '#src/model/steady-now.ts'
import type { LinkingMethod, ProviderSettings } from '#src/providers/provider.ts'
import { ownQrTimeoutMs } from './linking.ts'
import { createProxyAgent } from './proxy-agent.ts'
import type { RatchetStore } from './ratchet-store.ts'
import type { SessionCaches } from './shared-caches.ts'

/** How long the server may take to answer a query, milliseconds. */
const QUERY_TIMEOUT_MS = 30_000

/** One TLS context for all sessions: 18 KB less for each. */
let shared: { secureContext: SecureContext; agent: Agent } | undefined

export interface SocketConfigOptions {
  creds: AuthenticationCreds
  ratchets: RatchetStore
  caches: SessionCaches
  settings: ProviderSettings
  linking: LinkingMethod
  logger: NonNullable<UserFacingSocketConfig['logger']>
  /** The emulator's address; WhatsApp's own when left out. */
  url: string | undefined
  /** How the companion names itself. */
  name: WABrowserDescription
  /** Finds the session's proxy, or refuses to. */
  proxyLookup: LookupFunction | undefined
  /** Aborted when the connection has ended. */
  signal: AbortSignal
  /** The proxy answers, and does not let the connection through. */
  onProxyRefused: (httpStatus: number) => void
}

/** Baileys' configuration for thousands of sessions in one process, without the hooks. */
export function socketConfig(options: SocketConfigOptions): UserFacingSocketConfig {
  const { creds, ratchets, caches, settings, linking, logger, url, name } = options
  const agent = agentOf(options)
  const qrTimeout = ownQrTimeoutMs(linking, settings)
  return {
    auth: { creds, keys: ratchets.keys },
    logger,
    ...caches,
    ...(agent && { agent }),
    ...(url === undefined ? {} : { waWebSocketUrl: url }),
    browser: name,
    ...(settings.waVersion === undefined ? {} : { version: parseVersion(settings.waVersion) }),
    // Baileys pings by a fixed interval, notices silence at the second or third of them, which is over a minute at the
    // usual 30 s, and captures stack traces each time. Linked sessions are probed by the health monitor instead, which
    // tells within 45 s. A session that is being linked is not monitored, and lasts minutes: there Baileys does it.
    keepAliveIntervalMs: creds.me === undefined ? settings.keepAliveIntervalMs : MAX_TIMER_MS,
    ...(qrTimeout !== undefined && { qrTimeout }),
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
    // Histories are read by ours, which does not lose them. Baileys believes that it reads one kind, which never comes.
    shouldSyncHistoryMessage: ({ syncType }) => syncType === proto.Message.HistorySyncType.FULL,
    markOnlineOnConnect: false,
    emitOwnEvents: false,
  }
}

function agentOf(options: SocketConfigOptions): Agent | undefined {
  const { url, settings, proxyLookup: lookup, signal, onProxyRefused: onRefused } = options
  const { proxy } = settings
  const isSecure = (url ?? DEFAULT_CONNECTION_CONFIG.waWebSocketUrl).toString().startsWith('wss:')
  if (!isSecure && proxy === undefined) return undefined
  shared ??= shareSecureContext()
  if (proxy === undefined) return shared.agent
  return createProxyAgent({ proxy, isSecure, secureContext: shared.secureContext, lookup, signal, onRefused })
}

function shareSecureContext(): { secureContext: SecureContext; agent: Agent } {
  const secureContext = createSecureContext()
  return { secureContext, agent: new Agent({ secureContext }) }
}

function parseVersion(version: string): WAVersion {
  const [primary = 0, secondary = 0, tertiary = 0] = version.split('.').map(Number)
  return [primary, secondary, tertiary]
}
