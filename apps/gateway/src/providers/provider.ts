import type { OutgoingContent, Session } from '@frontdesk/api-contract'
import type { ContactBook } from '#src/model/contact-book.ts'
import type { DisconnectReason } from '#src/model/disconnect-reason.ts'
import type { SessionStore } from '#src/model/session-store.ts'
import type { WhatsAppAddress } from '#src/model/whatsapp-address.ts'

/**
 * What the services know of a WhatsApp provider, and what a provider is handed. A provider never imports storage or a
 * service: it reaches them through the ports below and those of the model (session store, contact book).
 */
export interface Provider {
  readonly name: Session['provider']
  /** Opens a session's connection. Never throws for connection trouble: that is reported to `events` as state. */
  open(session: ProviderSessionOptions): ProviderConnection
}

export interface ProviderSessionOptions {
  sessionId: string
  companyId: string
  settings: ProviderSettings
  store: SessionStore
  contacts: ContactBook
  events: ProviderEvents
  /** What to do when the session is not linked; of no meaning when it is. */
  linking: LinkingMethod
}

/** How a session that is not linked gets linked: by scanning a code, or by typing one at the phone of this number. */
export type LinkingMethod = { kind: 'qr' } | { kind: 'pairing_code'; phone: string }

export interface ProviderSettings {
  /** How long the server may be silent before it is asked for a sign of life. */
  keepAliveIntervalMs: number
  qrTimeoutMs: number
  /** QR codes shown before linking ends with `linking_expired`. */
  maxQrAttempts: number
  /** WhatsApp Web's version as `2.3000.123`, when it must differ from the provider's own. */
  waVersion?: string
  /** How the companion names itself on the phone, under Linked devices. */
  deviceName: string
  /** `http://`, `https://` or `socks5://` URL that the connection goes through, with user and password where it needs them. */
  proxy?: string
}

/** One opened connection. It ends once, by `close`, by `logout` or by itself, and then reports exactly one `closed`. */
export interface ProviderConnection {
  /**
   * Sends under the given WhatsApp id and resolves when WhatsApp's server has acknowledged it.
   * Rejects with `SendError`.
   */
  send(message: OutgoingMessage): Promise<void>
  /** Shows the contact that an answer is being typed, until the next message. Rejects when the connection is not open. */
  showTyping(to: WhatsAppAddress): Promise<void>
  /** How long the server may be silent before whoever watches the connection should `probe` it. */
  readonly keepAliveIntervalMs: number
  /** When the server was last heard, `performance.now()` milliseconds; of any frame. */
  readonly lastHeardAtMs: number
  /**
   * Asks WhatsApp's server for a sign of life. Rejects when none comes within `timeoutMs`, or when the connection is not
   * open.
   */
  probe(timeoutMs: number): Promise<void>
  /**
   * Unlinks the companion on the phone, then closes. Rejects, and leaves the connection as it is, when WhatsApp does not
   * confirm it.
   */
  logout(): Promise<void>
  /** Resolves within a bounded time, whatever the other side does. */
  close(): Promise<void>
  /** Ends the connection for this reason: the health monitor has found it dead. */
  abandon(reason: 'unresponsive', detail: string): void
}

export interface OutgoingMessage {
  whatsappId: string
  to: WhatsAppAddress
  content: OutgoingContent
}

/**
 * Why a send did not reach the server's acknowledgement; the retry decision follows from the stage.
 * `not_connected`: nothing left, try again when online. `unacknowledged`: it may have left, send again under the same id.
 * `throttled`: refused because of the pace, try again later and more slowly. `recipient_unreachable` and `rejected`: final.
 */
export type SendFailureStage = 'not_connected' | 'unacknowledged' | 'throttled' | 'recipient_unreachable' | 'rejected'

export class SendError extends Error {
  readonly stage: SendFailureStage
  /** WhatsApp's own error code, when it gave one. */
  readonly whatsappCode: string | undefined
  constructor(stage: SendFailureStage, message: string, whatsappCode?: string) {
    super(message)
    this.name = 'SendError'
    this.stage = stage
    this.whatsappCode = whatsappCode
  }
}

/** Where a provider reports what is not durable by itself. Called synchronously; must not throw. */
export interface ProviderEvents {
  linkingCode(code: ShownCode): void
  /** The phone has accepted the link; credentials are published. A reconnect follows. */
  linked(account: Account): void
  online(account: Account): void
  /** The phone itself has given a sign of life: a message or a receipt of its own, at this time. */
  phoneSeen(at: Date): void
  /**
   * The connection has ended, once, for this reason. `detail` is safe to show to an operator. `retryAt` is set where
   * WhatsApp said when to come back.
   */
  closed(reason: DisconnectReason, detail: string, extra?: { retryAt?: Date }): void
  /** The contact is writing, or has stopped. */
  typing(contactId: string, isTyping: boolean): void
}

/** What the user scans, or types at the phone as `ABCD-EFGH`, to link the session. */
export type ShownCode =
  | { kind: 'qr'; qr: string; expiresAt: Date }
  | { kind: 'pairing_code'; code: string; expiresAt: Date }

export interface Account {
  phone: string
  lid?: string
  name?: string
}
