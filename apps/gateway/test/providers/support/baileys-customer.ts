import {
  type AuthenticationState,
  initAuthCreds,
  makeWASocket,
  type proto,
  type SignalDataSet,
  type SignalDataTypeMap,
  type WASocket,
} from 'baileys'
import { pino } from 'pino'
import type { Emulator } from 'whatsapp-emulator'
import { until } from '../../support/until.ts'

/** A customer's linked device: an unmodified Baileys with keys in memory, which it can lose. */
export class BaileysCustomer implements Disposable {
  readonly #keys = new Map<string, unknown>()
  readonly #auth: AuthenticationState
  readonly #sent = new Map<string, string>()
  #socket: WASocket
  /** Texts in the order of their arrival, with the id of the message. */
  readonly received: { id: string; text: string }[] = []
  #isOnline = false
  #qr: string | undefined
  #closings = 0

  private constructor({ url }: { url: string }) {
    this.#auth = {
      creds: initAuthCreds(),
      keys: {
        get: async <Kind extends keyof SignalDataTypeMap>(kind: Kind, ids: string[]) => {
          const found: Record<string, SignalDataTypeMap[Kind]> = {}
          for (const id of ids) {
            const value = this.#keys.get(`${kind}/${id}`)
            if (value !== undefined) found[id] = structuredClone(value) as SignalDataTypeMap[Kind]
          }
          return found
        },
        set: async (data: SignalDataSet) => {
          for (const [kind, values] of Object.entries(data))
            for (const [id, value] of Object.entries(values)) {
              if (value === null) this.#keys.delete(`${kind}/${id}`)
              else this.#keys.set(`${kind}/${id}`, structuredClone(value))
            }
        },
      },
    }
    this.#socket = this.#open(url)
  }

  static async link(emulator: Emulator, phone: string): Promise<BaileysCustomer> {
    const customer = new BaileysCustomer(emulator)
    await emulator.scanQr({ phone, qr: await until(() => customer.#qr) })
    await until(() => customer.#closings > 0)
    customer.#socket = customer.#open(emulator.url)
    await until(() => customer.#isOnline)
    return customer
  }

  async send(jid: string, text: string): Promise<string> {
    const sent = await this.#socket.sendMessage(jid, { text })
    if (!sent?.key.id) throw new Error('Baileys gave the message no id.')
    this.#sent.set(sent.key.id, text)
    return sent.key.id
  }

  /** As after an accident: everything that was agreed upon with others is gone. */
  loseSessions(): void {
    for (const key of this.#keys.keys()) if (key.startsWith('session/')) this.#keys.delete(key)
  }

  /** Sends a message of any kind. */
  async sendAny(jid: string, message: proto.IMessage): Promise<string> {
    return await this.#socket.relayMessage(jid, message, {})
  }

  has(id: string): boolean {
    return this.received.some((message) => message.id === id)
  }

  [Symbol.dispose](): void {
    void this.#socket.end(undefined)
  }

  #open(url: string): WASocket {
    const socket = makeWASocket({
      auth: this.#auth,
      waWebSocketUrl: url,
      logger: pino({ level: 'silent' }),
      getMessage: async ({ id }) => {
        const text = id ? this.#sent.get(id) : undefined
        return text === undefined ? undefined : { conversation: text }
      },
    })
    socket.ev.on('creds.update', (update) => Object.assign(this.#auth.creds, update))
    socket.ev.on('connection.update', ({ qr, connection }) => {
      if (qr !== undefined) this.#qr = qr
      if (connection === 'open') this.#isOnline = true
      if (connection === 'close') this.#closings += 1
    })
    socket.ev.on('messages.upsert', ({ messages }) => {
      for (const { key, message } of messages) {
        const text = message?.conversation ?? message?.extendedTextMessage?.text
        if (key.id && text) this.received.push({ id: key.id, text })
      }
    })
    return socket
  }
}
