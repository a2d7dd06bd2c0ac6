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
}

export interface ProviderSettings {
  keepAliveIntervalMs: number
  qrTimeoutMs: number
  /** QR codes shown before linking ends with `linking_expired`. */
  maxQrAttempts: number
  /** WhatsApp Web's version as `2.3000.123`, when it must differ from the provider's own. */
  waVersion?: string
}

/** One opened connection. It ends once, by `close`, by `logout` or by itself, and then reports exactly one `closed`. */
export interface ProviderConnection {
  /**
   * Sends under the given WhatsApp id and resolves when WhatsApp's server has acknowledged it.
   * Rejects with `SendError`.
   */
  send(message: OutgoingMessage): Promise<void>
  /** Unlinks the companion on the phone, then closes. */
  logout(): Promise<void>
  close(): Promise<void>
}

export interface OutgoingMessage {
  whatsappId: string
  to: WhatsAppAddress
  content: OutgoingContent
}

/**
 * Why a send did not reach the server's acknowledgement; the retry decision follows from the stage.
 * `not_connected`: nothing left, try again when online. `unacknowledged`: it may have left, send again under the same id.
 * `recipient_unreachable` and `rejected`: final.
 */
export type SendFailureStage = 'not_connected' | 'unacknowledged' | 'recipient_unreachable' | 'rejected'

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
  linkingCode(code: { qr: string; expiresAt: Date }): void
  /** The phone has accepted the link; credentials are published. A reconnect follows. */
  linked(account: Account): void
  online(account: Account): void
  /** The connection has ended, once, for this reason. `detail` is safe to show to an operator. */
  closed(reason: DisconnectReason, detail: string): void
  /** The contact is writing, or has stopped. */
  typing(contactId: string, isTyping: boolean): void
}

export interface Account {
  phone: string
  lid?: string
  name?: string
}
