import type { Logger } from 'pino'
import type { ContactBook } from '#src/model/contact-book.ts'
import type { DisconnectReason } from '#src/model/disconnect-reason.ts'
import type {
  Account,
  LinkingMethod,
  Provider,
  ProviderConnection,
  ProviderSettings,
  ShownCode,
} from '#src/providers/provider.ts'
import type { RunningSession, SessionListener } from './session-listener.ts'

export interface ConnectionTools {
  provider: Provider
  listener: SessionListener
  contactsOf: (companyId: string) => ContactBook
  log: Logger
}

export interface ConnectionEvents {
  codeShown(code: ShownCode): void
  linked(account: Account): void
  online(account: Account, connection: ProviderConnection): void
}

export interface ConnectionEnd {
  reason: DisconnectReason
  /** When WhatsApp has said to come back. */
  retryAt?: Date
}

export interface OpenConnection {
  connection: ProviderConnection
  /** Settles when the connection has ended and those who used it know. Never rejects. */
  ended: Promise<ConnectionEnd>
}

/** Opens one connection of an owned session. */
export function openConnection(
  { provider, listener, contactsOf, log }: ConnectionTools,
  running: RunningSession,
  settings: ProviderSettings,
  linking: LinkingMethod,
  events: ConnectionEvents,
): OpenConnection {
  const { sessionId, companyId } = running.lease
  const ended = Promise.withResolvers<ConnectionEnd>()
  const openedAtMs = performance.now()
  const connection = provider.open({
    ...{ sessionId, companyId, settings, linking },
    store: running.store,
    contacts: contactsOf(companyId),
    events: {
      linkingCode: (code) => events.codeShown(code),
      linked: (account) => events.linked(account),
      online: (account) => {
        log.info({ sessionId, connectMs: Math.round(performance.now() - openedAtMs) }, 'A session is online.')
        events.online(account, connection)
      },
      phoneSeen: (at) => listener.phoneSeen(running, at),
      typing: (contactId, isTyping) => listener.typing(sessionId, contactId, isTyping),
      closed: (reason, detail, extra) => {
        log.info({ sessionId, reason, detail }, 'A connection has ended.')
        listener.offline(sessionId)
        ended.resolve({ reason, ...extra })
      },
    },
  })
  return { connection, ended: ended.promise }
}
