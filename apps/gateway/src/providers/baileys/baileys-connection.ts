import {
  type AuthenticationCreds,
  type BaileysEventMap,
  jidDecode,
  proto,
  type UserFacingSocketConfig,
  type WASocket,
} from 'baileys'
import type { DisconnectReason } from '#src/model/disconnect-reason.ts'
import { StoreError } from '#src/model/store-error.ts'
import {
  type Account,
  type OutgoingMessage,
  type ProviderConnection,
  type ProviderSessionOptions,
  SendError,
} from '#src/providers/provider.ts'
import { jidOfAddress } from './addresses.ts'
import { withoutNumbers } from './baileys-logger.ts'
import { credentialsFrom, credsChange, readCredentials, trimCredentials } from './credentials.ts'
import { disconnectReasonOf } from './disconnect-reasons.ts'
import { hookSocket, type SocketHooks } from './hook-socket.ts'
import { RatchetStore } from './ratchet-store.ts'
import { RecipientDevices } from './recipient-devices.ts'
import { ServerAcks } from './server-acks.ts'
import { ServerPing } from './server-ping.ts'
import type { SharedCaches } from './shared-caches.ts'
import { toWhatsApp } from './to-whatsapp.ts'

/** How long connecting may take until WhatsApp has accepted the login or shows a QR code, milliseconds. */
const CONNECT_DEADLINE_MS = 40_000

/** How long WhatsApp's server may take to acknowledge a message, milliseconds. */
const ACK_TIMEOUT_MS = 20_000

/** How long Baileys may take to end a connection, milliseconds: longer than closing its socket can take. */
const END_LIMIT_MS = 4000

/** What all connections of the process share. */
export interface ConnectionEnvironment {
  caches: SharedCaches
  logger: NonNullable<UserFacingSocketConfig['logger']>
  /** The emulator's address; WhatsApp's own when undefined. */
  url: string | undefined
  /** For tests. */
  ackTimeoutMs?: number
}

/** One connection of a session to WhatsApp, from its opening to its one end. */
export class BaileysConnection implements ProviderConnection {
  readonly #session: ProviderSessionOptions
  readonly #environment: ConnectionEnvironment
  readonly #ratchets: RatchetStore
  readonly #acks: ServerAcks
  readonly #ended = Promise.withResolvers<void>()
  readonly #deadline: NodeJS.Timeout
  #endLimit: NodeJS.Timeout | undefined
  #hooks: SocketHooks | undefined
  #socket: WASocket | undefined
  #devices: RecipientDevices | undefined
  #ping: ServerPing | undefined
  #isOnline = false
  #isEnded = false
  /** Why this side ends it; Baileys' own reason counts when it is not set. */
  #endReason: { reason: DisconnectReason; detail: string } | undefined
  #codesShown = 0
  #isLinked = false

  constructor(session: ProviderSessionOptions, environment: ConnectionEnvironment) {
    this.#session = session
    this.#environment = environment
    this.#ratchets = new RatchetStore(session.store, (error) => this.#storeFailed(error))
    this.#acks = new ServerAcks(environment.ackTimeoutMs ?? ACK_TIMEOUT_MS)
    this.#deadline = setTimeout(() => this.#end('timed_out', 'WhatsApp did not answer in time.'), CONNECT_DEADLINE_MS)
    this.#connect().catch((error: unknown) => this.#storeFailed(error))
  }

  /** Settles when the connection has ended. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  get lastHeardAtMs(): number {
    return this.#hooks?.lastHeardAtMs() ?? Number.NEGATIVE_INFINITY
  }

  async probe(timeoutMs: number): Promise<void> {
    if (!this.#ping || !this.#isOnline || this.#endReason) throw new Error('The session is not connected.')
    await this.#ping.ping(timeoutMs)
  }

  async send({ whatsappId, to, content }: OutgoingMessage): Promise<void> {
    const { socket, devices } = this.#opened()
    const jid = jidOfAddress(to)
    if (jid === undefined) throw new SendError('recipient_unreachable', 'The recipient has no address.')
    try {
      await devices.assertReachable(jid)
      const acknowledged = this.#acks.expect(whatsappId)
      const message = toWhatsApp(content)
      const plaintext = proto.Message.encode(message).finish()
      this.#ratchets.publish({ sent: [{ whatsappId, recipient: jid, plaintext }] })
      await socket.relayMessage(jid, message, { messageId: whatsappId })
      this.#acks.limit(whatsappId)
      await acknowledged
    } catch (error) {
      const failure = this.#sendErrorOf(error)
      this.#acks.fail(whatsappId, failure)
      throw failure
    }
  }

  async logout(): Promise<void> {
    const { socket } = this.#opened()
    // The socket closes right behind the request: it must not wait at the gate.
    await this.#session.store.committed(this.#session.store.published)
    await socket.logout()
    await this.ended
  }

  async close(): Promise<void> {
    this.#end('closed_by_us', 'Closed on request.')
    await this.ended
  }

  abandon(reason: 'unresponsive', detail: string): void {
    this.#end(reason, detail)
    this.#hooks?.cut()
  }

  /** Forgets cached keys, unless they were used since the last call. */
  forgetIdleKeys(): void {
    this.#ratchets.forgetUnlessUsed()
  }

  async #connect(): Promise<void> {
    const stored = await readCredentials(this.#session.store)
    if (this.#isEnded) return
    try {
      this.#open(credentialsFrom(stored))
    } catch {
      // The error may quote what it failed to read, which is secret.
      this.#end('bad_session', 'The stored credentials cannot be used.')
    }
  }

  #open(creds: AuthenticationCreds): void {
    const { store, settings, contacts, events, sessionId } = this.#session
    const { caches, logger, url } = this.#environment
    this.#isLinked = creds.me !== undefined
    this.#hooks = hookSocket({
      creds,
      ratchets: this.#ratchets,
      caches: caches.of(sessionId),
      settings,
      logger,
      url,
      store,
      contacts,
      acks: this.#acks,
      onTyping: (contactId, isTyping) => events.typing(contactId, isTyping),
      onStoreFailure: (error) => this.#storeFailed(error),
      onRefused: (httpStatus) => {
        const reason = httpStatus >= 500 ? 'service_unavailable' : 'connection_closed'
        this.#end(reason, `The server refused the connection with HTTP ${httpStatus}.`)
      },
      onUnreadable: () => this.#end('bad_session', 'A frame could not be read.'),
    })
    this.#socket = this.#hooks.socket
    this.#devices = new RecipientDevices(this.#socket)
    this.#ping = new ServerPing(this.#socket)
    this.#socket.ev.on('creds.update', () => this.#saveCredentials(creds))
    this.#socket.ev.on('connection.update', (update) => this.#onConnectionUpdate(update, creds))
  }

  #saveCredentials(creds: AuthenticationCreds): void {
    if (this.#isEnded) return
    trimCredentials(creds)
    this.#ratchets.publish({ keys: [credsChange(creds)] })
  }

  #onConnectionUpdate(update: BaileysEventMap['connection.update'], creds: AuthenticationCreds): void {
    if (this.#isEnded) return
    const { events } = this.#session
    if (update.qr !== undefined) this.#showCode(update.qr)
    if (update.isNewLogin) {
      this.#isLinked = true
      events.linked(accountOf(creds))
    }
    if (update.connection === 'open') {
      clearTimeout(this.#deadline)
      this.#isOnline = true
      events.online(accountOf(creds))
    }
    if (update.connection === 'close') this.#onClosed(update.lastDisconnect?.error)
  }

  #showCode(qr: string): void {
    clearTimeout(this.#deadline)
    const { qrTimeoutMs, maxQrAttempts } = this.#session.settings
    if (this.#codesShown >= maxQrAttempts) {
      this.#end('linking_expired', 'No QR code was scanned in time.')
      return
    }
    this.#codesShown += 1
    this.#session.events.linkingCode({ kind: 'qr', qr, expiresAt: new Date(Date.now() + qrTimeoutMs) })
  }

  #onClosed(error: Error | undefined): void {
    if (this.#endReason) {
      this.#finish(this.#endReason.reason, this.#endReason.detail)
      return
    }
    const reason = disconnectReasonOf(error)
    const isUnscanned = !this.#isLinked && this.#codesShown > 0 && reason === 'timed_out'
    this.#finish(isUnscanned ? 'linking_expired' : reason, withoutNumbers(error?.message ?? 'The connection ended.'))
  }

  #storeFailed(error: unknown): void {
    const reason = error instanceof StoreError ? error.reason : 'store_failed'
    this.#end(reason, reason === 'lease_lost' ? 'Another process owns the session.' : 'The database failed.')
  }

  #end(reason: DisconnectReason, detail: string): void {
    if (this.#isEnded || this.#endReason) return
    this.#endReason = { reason, detail }
    // What waits for a commit, or would leave from now on, must not.
    this.#hooks?.gate.shut()
    const socket = this.#socket
    if (!socket) {
      this.#finish(reason, detail)
      return
    }
    this.#endLimit = setTimeout(() => this.#finish(reason, detail), END_LIMIT_MS)
    void Promise.resolve(socket.end(new Error(detail)))
      // Whatever fails while Baileys tidies up: the connection is over.
      .catch(() => undefined)
      .then(() => this.#finish(reason, detail))
  }

  #finish(reason: DisconnectReason, detail: string): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#isOnline = false
    clearTimeout(this.#deadline)
    clearTimeout(this.#endLimit)
    this.#hooks?.close()
    this.#ping?.failAll(new Error('The connection has ended.'))
    this.#ratchets.close()
    this.#acks.failAll(
      new SendError('unacknowledged', 'The connection ended before WhatsApp acknowledged the message.'),
    )
    this.#session.events.closed(reason, detail)
    this.#ended.resolve()
  }

  #opened(): { socket: WASocket; devices: RecipientDevices } {
    if (!this.#socket || !this.#devices || !this.#isOnline || this.#endReason) {
      throw new SendError('not_connected', 'The session is not connected.')
    }
    return { socket: this.#socket, devices: this.#devices }
  }

  #sendErrorOf(error: unknown): SendError {
    if (error instanceof SendError) return error
    const detail = error instanceof Error ? withoutNumbers(error.message) : 'unknown'
    // Before the acknowledgement nobody can tell whether the message has left: the same id makes another attempt safe.
    return new SendError(this.#isOnline ? 'unacknowledged' : 'not_connected', `Sending failed: ${detail}`)
  }
}

function accountOf({ me }: AuthenticationCreds): Account {
  const phone = jidDecode(me?.id)?.user ?? ''
  const lid = jidDecode(me?.lid)?.user
  return { phone, ...(lid !== undefined && { lid }), ...(me?.name !== undefined && { name: me.name }) }
}
