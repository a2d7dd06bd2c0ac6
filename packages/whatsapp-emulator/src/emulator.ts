import { once } from 'node:events'
import type { Server } from 'node:http'
import type { Account } from './accounts/account.ts'
import type {
  Behaviour,
  Burst,
  Chat,
  CompanionKeys,
  CompanionStats,
  Counters,
  EmulatorControl,
  EmulatorInfo,
  Fault,
  PendingLink,
  Phone,
  ProvisionedCompanion,
  SendText,
  SentAt,
  WireEntry,
} from './control/control.ts'
import { ControlError } from './control/control-error.ts'
import { makeHttpServer } from './control/http-server.ts'
import { isLoopbackHost } from './control/loopback.ts'
import type { EmulatorEvents } from './core/events.ts'
import { type EmulatorState, makeEmulatorState } from './core/state.ts'
import { applyFault } from './faults/apply-fault.ts'
import { BurstRunner } from './phones/burst.ts'
import { listPhones } from './phones/phone-list.ts'
import { readChat } from './phones/receipts.ts'
import { sendFromPhone } from './phones/sending.ts'
import { showTyping } from './phones/typing.ts'
import { CompanionServer } from './server/companion-server.ts'
import { pendingLinks } from './server/linking.ts'
import { enterPairingCode } from './server/pairing-codes.ts'
import { provisionCompanion } from './server/provisioning.ts'
import { announceQr, scanQr } from './server/qr-codes.ts'
import { unlinkCompanion } from './server/unlinking.ts'
import { newMessageId } from './wire/stanza-id.ts'

const LOOPBACK_ADDRESS = '127.0.0.1'
/** Thousands of companions may connect in the same instant. */
const BACKLOG = 4_096

/** A running emulator: WhatsApp's server and everybody's phones. Its methods reject with `ControlError`. */
export class Emulator implements EmulatorControl, AsyncDisposable {
  readonly #state: EmulatorState
  readonly #companions: CompanionServer
  readonly #http: Server
  readonly #bursts: BurstRunner
  #port = 0

  constructor(behaviour: Partial<Behaviour> = {}) {
    this.#state = makeEmulatorState(behaviour)
    this.#companions = new CompanionServer(this.#state)
    this.#bursts = new BurstRunner(this.#state)
    this.#http = makeHttpServer(this, this.#state.changes)
    this.#http.on('upgrade', (request, socket, head) => {
      if (isLoopbackHost(request.headers.host)) this.#companions.upgrade(request, socket, head)
      else socket.destroy()
    })
  }

  /** Starts to listen; port 0 takes any free one. Rejects with `ControlError` when the port is taken. */
  async listen(port: number): Promise<void> {
    this.#http.listen(port, LOOPBACK_ADDRESS, BACKLOG)
    try {
      await once(this.#http, 'listening')
    } catch (error) {
      if (!isAddressInUse(error)) throw error
      throw new ControlError(
        `Port ${port} is in use. Stop what listens there, or take another port; 0 is any free one.`,
      )
    }
    const address = this.#http.address()
    if (address && typeof address === 'object') this.#port = address.port
  }

  /** For Baileys' `waWebSocketUrl`. */
  get url(): string {
    return `ws://${LOOPBACK_ADDRESS}:${this.#port}/ws/chat`
  }

  /** Public key of the root that signs the Noise certificates, hex. */
  get rootKey(): string {
    return this.#state.certificates.rootKey.toString('hex')
  }

  get pageUrl(): string {
    return `http://${LOOPBACK_ADDRESS}:${this.#port}/`
  }

  /** Calls back on every such event. Returns how to stop that. */
  on<Name extends keyof EmulatorEvents>(name: Name, listener: (event: EmulatorEvents[Name]) => void): () => void {
    return this.#state.events.on(name, listener)
  }

  /** Ends all connections and the server; no timer is left. */
  async close(): Promise<void> {
    this.#state.timers.close()
    this.#companions[Symbol.dispose]()
    if (!this.#http.listening) return
    const closed = once(this.#http, 'close')
    this.#http.close()
    this.#http.closeAllConnections()
    await closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async info(): Promise<EmulatorInfo> {
    return { url: this.url, rootKey: this.rootKey, pageUrl: this.pageUrl }
  }

  async phones(): Promise<Phone[]> {
    return listPhones(this.#state)
  }

  async pendingLinks(): Promise<PendingLink[]> {
    return pendingLinks(this.#state)
  }

  async announceQr({ qr }: { qr: string }): Promise<void> {
    announceQr(this.#state, qr)
  }

  async scanQr({ phone, qr }: { phone: string; qr: string }): Promise<{ jid: string; lid: string }> {
    const { jid, lidJid } = await scanQr(this.#state, this.#account(phone), qr)
    return { jid, lid: lidJid }
  }

  async enterPairingCode({ phone, code }: { phone: string; code: string }): Promise<{ jid: string; lid: string }> {
    const { jid, lidJid } = await enterPairingCode(this.#state, this.#account(phone), code)
    return { jid, lid: lidJid }
  }

  async sendText({ from, to, text, addressing = 'pn', id = newMessageId(), isCorrupt = false }: SendText) {
    const body = { conversation: text }
    const message = { id, body, to: this.#account(to), addressing, isPeer: false }
    await sendFromPhone(this.#state, this.#account(from), message, { isCorrupt })
    return { id }
  }

  async setTyping({ from, to, isTyping }: { from: string; to: string; isTyping: boolean }): Promise<void> {
    const typist = this.#account(from)
    showTyping(this.#state, { from: typist, fromJid: typist.jid('pn'), to: this.#account(to), isTyping })
  }

  async markRead({ phone, from }: { phone: string; from: string }): Promise<void> {
    readChat(this.#state, this.#account(phone), this.#account(from))
  }

  async unlink({ phone, deviceId }: { phone: string; deviceId?: number }): Promise<void> {
    const { companions } = this.#account(phone)
    const companion = deviceId === undefined ? undefined : companions.get(deviceId)
    if (deviceId !== undefined && !companion) throw new ControlError(`${phone} has no linked device ${deviceId}.`)
    for (const linked of companion ? [companion] : [...companions.values()])
      unlinkCompanion(this.#state, linked, 'phone')
  }

  async provision(companions: CompanionKeys[]): Promise<ProvisionedCompanion[]> {
    return companions.map((keys) => provisionCompanion(this.#state, keys))
  }

  async fault(fault: Fault): Promise<void> {
    applyFault(this.#state, fault)
  }

  async configure(behaviour: Partial<Behaviour>): Promise<void> {
    Object.assign(this.#state.behaviour, behaviour)
  }

  async setName({ phone, name }: { phone: string; name: string }): Promise<void> {
    this.#account(phone).name = name
    this.#state.changes.changed()
  }

  async wire(query?: { after?: number; limit?: number }): Promise<WireEntry[]> {
    return this.#state.wireBook.read(query)
  }

  async chats(phone: string): Promise<Chat[]> {
    return this.#account(phone)
      .chats()
      .map((chat) => chat.toChat())
  }

  async counters(): Promise<Counters> {
    return structuredClone(this.#state.counters)
  }

  async companionStats({ phone }: { phone?: string } = {}): Promise<CompanionStats[]> {
    const companions =
      phone === undefined ? this.#state.directory.companions() : this.#account(phone).companions.values()
    return Array.from(companions, ({ account, jid, uptime }) => {
      const { connected, disconnected, refused } = uptime.read()
      const times = { connectedMs: connected, disconnectedMs: disconnected, refusedMs: refused }
      return { phone: account.phone, jid, logins: uptime.logins, ...times }
    })
  }

  async resetStats(): Promise<void> {
    for (const { uptime } of this.#state.directory.companions()) uptime.reset()
  }

  async prepareBurst(burst: Burst): Promise<{ count: number; preKeyMessages: number }> {
    return this.#bursts.prepare(burst)
  }

  async fireBurst(pace?: { perSecond?: number }): Promise<SentAt[]> {
    return this.#bursts.fire(pace)
  }

  async pending(): Promise<number> {
    return this.#state.pendingStanzas
  }

  #account(phone: string): Account {
    return this.#state.directory.account(phone)
  }
}

function isAddressInUse(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
}
