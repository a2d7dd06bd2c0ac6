import type { LookupFunction } from 'node:net'
import {
  type AuthenticationCreds,
  type BaileysEventMap,
  type BinaryNode,
  jidDecode,
  proto,
  S_WHATSAPP_NET,
  type UserFacingSocketConfig,
  type WASocket,
} from 'baileys'
import { StoreError } from '#src/model/store-error.ts'
import { UnreadableError } from '#src/model/unreadable-error.ts'
import type { WhatsAppAddress } from '#src/model/whatsapp-address.ts'
import {
  type Account,
  type OutgoingMessage,
  type ProviderConnection,
  type ProviderSessionOptions,
  SendError,
} from '#src/providers/provider.ts'
import { jidOfAddress } from './addresses.ts'
import { withoutNumbers } from './baileys-logger.ts'
import { companionName } from './companion-name.ts'
import { credentialsFrom, credsChange, isLinked, readCredentials, trimCredentials } from './credentials.ts'
import { type Ending, endingOf, endingOfHttp, isOfferOver, whatsappCodeOf } from './disconnect-reasons.ts'
import { hookSocket, type SocketHooks } from './hook-socket.ts'
import { LINKING_LIFETIME_MS, Linking } from './linking.ts'
import { ProxyAddressError } from './proxy-agent.ts'
import { RatchetStore } from './ratchet-store.ts'
import { RecipientDevices } from './recipient-devices.ts'
import { ServerAcks, stageOfCode } from './server-acks.ts'
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
  /** Finds a session's proxy, or refuses to. */
  proxyLookup: LookupFunction | undefined
  /** Shorter ones for tests. */
  timeouts: { ackMs?: number; connectMs?: number; linkingMs?: number }
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
  /** Why it ends, or has ended; Baileys' own reason counts when this side has given none. */
  #ending: Ending | undefined
  #linking: Linking | undefined
  /** The WebSocket was open: the way to the server works. */
  #isReached = false
  readonly #over = new AbortController()

  constructor(session: ProviderSessionOptions, environment: ConnectionEnvironment) {
    this.#session = session
    this.#environment = environment
    this.#ratchets = new RatchetStore(session.store, (error) => this.#storeFailed(error))
    const { ackMs = ACK_TIMEOUT_MS, connectMs = CONNECT_DEADLINE_MS } = environment.timeouts
    this.#acks = new ServerAcks(ackMs)
    this.#deadline = setTimeout(() => this.#endUnreached('timed_out', 'WhatsApp did not answer in time.'), connectMs)
    this.#connect().catch((error: unknown) => this.#storeFailed(error))
  }

  /** Settles when the connection has ended. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  get keepAliveIntervalMs(): number {
    return this.#session.settings.keepAliveIntervalMs
  }

  get lastHeardAtMs(): number {
    return this.#hooks?.lastHeardAtMs() ?? Number.NEGATIVE_INFINITY
  }

  async probe(timeoutMs: number): Promise<void> {
    if (!this.#ping || !this.#isOnline || this.#ending) throw new Error('The session is not connected.')
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
      // The end of the connection fails what is expected, so that what hangs inside Baileys does not hold up the chat.
      await Promise.race([socket.relayMessage(jid, message, { messageId: whatsappId }), acknowledged])
      this.#acks.limit(whatsappId)
      await acknowledged
    } catch (error) {
      const failure = this.#sendErrorOf(error)
      this.#acks.fail(whatsappId, failure)
      throw failure
    }
  }

  async showTyping(to: WhatsAppAddress): Promise<void> {
    const { socket } = this.#opened()
    const jid = jidOfAddress(to)
    if (jid !== undefined) await socket.sendPresenceUpdate('composing', jid)
  }

  async logout(): Promise<void> {
    const { socket } = this.#opened()
    // Baileys' own way closes the socket right behind the request, whether or not WhatsApp has heard it.
    const confirmed = socket.query(removalOf(socket.user?.id ?? ''), this.#environment.timeouts.ackMs ?? ACK_TIMEOUT_MS)
    // The server may end the stream before its answer is seen.
    await Promise.race([
      confirmed.then((answer) => answer ?? Promise.reject(new Error('WhatsApp has not confirmed the logout in time.'))),
      this.ended,
    ])
    if (this.#isEnded && this.#ending?.reason !== 'logged_out')
      throw new Error('The connection ended before WhatsApp confirmed the logout.')
    this.#end({ reason: 'logged_out', detail: 'Logged out on request.' })
    await this.ended
  }

  async close(): Promise<void> {
    this.#end({ reason: 'closed_by_us', detail: 'Closed on request.' })
    await this.ended
  }

  abandon(reason: 'unresponsive', detail: string): void {
    this.#end({ reason, detail })
    this.#hooks?.cut()
  }

  /** Forgets cached keys, unless they were used since the last call. */
  forgetIdleKeys(): void {
    this.#ratchets.forgetUnlessUsed()
  }

  async #connect(): Promise<void> {
    const stored = await readCredentials(this.#session.store)
    if (this.#isEnded) return
    const creds = credentialsFrom(stored)
    try {
      this.#open(creds)
    } catch (error) {
      if (error instanceof ProxyAddressError) this.#end({ reason: 'proxy_failed', detail: error.message })
      // The error may quote what it failed to read, which is secret.
      else this.#end({ reason: 'credentials_unreadable', detail: 'The stored credentials cannot be used.' })
    }
  }

  #open(creds: AuthenticationCreds): void {
    const { store, settings, contacts, events, sessionId, linking } = this.#session
    const { caches, logger, url, proxyLookup, timeouts } = this.#environment
    const name = companionName(settings.deviceName)
    this.#hooks = hookSocket({
      creds,
      ratchets: this.#ratchets,
      caches: caches.of(sessionId),
      ...{ settings, linking },
      logger,
      url,
      proxyLookup,
      store,
      contacts,
      acks: this.#acks,
      name,
      signal: this.#over.signal,
      onTyping: (contactId, isTyping) => events.typing(contactId, isTyping),
      onPhoneSeen: (at) => events.phoneSeen(at),
      onStoreFailure: (error) => this.#storeFailed(error),
      onReached: () => {
        this.#isReached = true
      },
      onRefused: (httpStatus) => this.#end(endingOfHttp(httpStatus)),
      onProxyRefused: (httpStatus) =>
        this.#end({ reason: 'proxy_failed', detail: `The proxy answered with HTTP ${httpStatus}.` }),
      onUnreadable: () => this.#end({ reason: 'bad_session', detail: 'A frame could not be read.' }),
    })
    this.#socket = this.#hooks.socket
    if (!isLinked(creds)) {
      this.#linking = new Linking({
        ...{ socket: this.#socket, name, settings, method: linking },
        lifetimeMs: timeouts.linkingMs ?? LINKING_LIFETIME_MS,
        onCode: (code) => events.linkingCode(code),
        onFailed: (reason, detail) => this.#end({ reason, detail }),
      })
    }
    this.#devices = new RecipientDevices(this.#socket, this.#ratchets)
    this.#ping = new ServerPing(this.#socket)
    this.#socket.ev.on('creds.update', () => this.#saveCredentials(creds))
    this.#socket.ev.on('connection.update', (update) => this.#onConnectionUpdate(update, creds))
  }

  #saveCredentials(creds: AuthenticationCreds): void {
    // Until the phone has accepted, nothing is worth keeping: the next attempt starts afresh.
    if (this.#isEnded || !isLinked(creds)) return
    trimCredentials(creds)
    this.#ratchets.publish({ keys: [credsChange(creds)] })
  }

  #onConnectionUpdate(update: BaileysEventMap['connection.update'], creds: AuthenticationCreds): void {
    if (this.#isEnded) return
    const { events } = this.#session
    if (update.qr !== undefined) {
      clearTimeout(this.#deadline)
      this.#linking?.offered(update.qr)
    }
    if (update.isNewLogin) {
      this.#linking?.close()
      this.#linking = undefined
      events.linked(accountOf(creds))
    }
    if (update.connection === 'open') {
      clearTimeout(this.#deadline)
      this.#isOnline = true
      events.online(accountOf(creds))
    }
    if (update.connection === 'close') this.#onClosed(update.lastDisconnect?.error)
  }

  #onClosed(error: Error | undefined): void {
    const ending = endingOf(error, { isLinked: this.#linking === undefined })
    if (this.#ending) this.#finish(this.#ending)
    else if (!this.#isReached) this.#endUnreached(ending.reason, ending.detail)
    else if (this.#linking?.isReady && isOfferOver(error))
      this.#finish({ reason: 'linking_expired', detail: 'WhatsApp has ended the offer to link.' })
    else this.#finish(ending)
  }

  /** Without a way to the server, the proxy is to blame, if there is one. */
  #endUnreached(reason: Ending['reason'], detail: string): void {
    const isProxied = this.#session.settings.proxy !== undefined && !this.#isReached
    // Of what a proxy says, only the system's own words are safe to show.
    const why = /\bE[A-Z]{3,}\b/.exec(detail)?.[0] ?? 'no answer that makes sense'
    this.#end(
      isProxied ? { reason: 'proxy_failed', detail: `The proxy does not connect: ${why}.` } : { reason, detail },
    )
  }

  #storeFailed(error: unknown): void {
    if (error instanceof UnreadableError) {
      this.#end({ reason: 'credentials_unreadable', detail: 'Stored credentials or keys cannot be opened.' })
      return
    }
    const reason = error instanceof StoreError ? error.reason : 'store_failed'
    const detail = reason === 'lease_lost' ? 'Another process owns the session.' : 'The database failed.'
    this.#end({ reason, detail })
  }

  #end(ending: Ending): void {
    if (this.#isEnded || this.#ending) return
    this.#ending = ending
    // What waits for a commit, or would leave from now on, must not.
    this.#hooks?.gate.shut()
    const socket = this.#socket
    if (!socket) {
      this.#finish(ending)
      return
    }
    this.#endLimit = setTimeout(() => this.#finish(ending), END_LIMIT_MS)
    void Promise.resolve(socket.end(new Error(ending.detail)))
      // Whatever fails while Baileys tidies up: the connection is over.
      .catch(() => undefined)
      .then(() => this.#finish(ending))
  }

  #finish(ending: Ending): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#ending = ending
    const { reason, detail, retryAt } = ending
    this.#isOnline = false
    clearTimeout(this.#deadline)
    clearTimeout(this.#endLimit)
    this.#linking?.close()
    this.#hooks?.close()
    this.#over.abort()
    this.#ping?.failAll(new Error('The connection has ended.'))
    this.#ratchets.close()
    this.#acks.failAll(
      new SendError('unacknowledged', 'The connection ended before WhatsApp acknowledged the message.'),
    )
    this.#session.events.closed(reason, detail, retryAt && { retryAt })
    this.#ended.resolve()
  }

  #opened(): { socket: WASocket; devices: RecipientDevices } {
    if (!this.#socket || !this.#devices || !this.#isOnline || this.#ending) {
      throw new SendError('not_connected', 'The session is not connected.')
    }
    return { socket: this.#socket, devices: this.#devices }
  }

  #sendErrorOf(error: unknown): SendError {
    if (error instanceof SendError) return error
    const detail = error instanceof Error ? withoutNumbers(error.message) : 'unknown'
    const code = whatsappCodeOf(error)
    if (code !== undefined && stageOfCode(code) === 'throttled') return new SendError('throttled', detail, code)
    // Before the acknowledgement nobody can tell whether the message has left: the same id makes another attempt safe.
    return new SendError(this.#isOnline ? 'unacknowledged' : 'not_connected', `Sending failed: ${detail}`)
  }
}

const removalOf = (jid: string): BinaryNode => ({
  tag: 'iq',
  attrs: { to: S_WHATSAPP_NET, type: 'set', xmlns: 'md' },
  content: [{ tag: 'remove-companion-device', attrs: { jid, reason: 'user_initiated' } }],
})

function accountOf({ me }: AuthenticationCreds): Account {
  const phone = jidDecode(me?.id)?.user ?? ''
  const lid = jidDecode(me?.lid)?.user
  return { phone, ...(lid !== undefined && { lid }), ...(me?.name !== undefined && { name: me.name }) }
}
