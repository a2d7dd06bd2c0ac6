import { setTimeout as delay } from 'node:timers/promises'
import type { Emulator } from 'whatsapp-emulator'
import { randomFrom } from './random.ts'

/** A customer's chat with the number of a session. */
export interface Chat {
  phone: string
  customer: string
  /** How the customer is addressed on the wire; always the same way. */
  addressing: 'pn' | 'lid'
}

/** What a customer wrote. No text occurs twice. */
export interface Written {
  chat: Chat
  text: string
  whatsappId: string
  atMs: number
}

/** What the API has accepted for sending. */
export interface Accepted {
  chat: Chat
  text: string
  /** The message, as the API names it. */
  id: string
  atMs: number
}

/** One request to the API: the message's id, or undefined when it must be asked again. Rejects when it was refused. */
type Send = (chat: Chat, text: string) => Promise<string | undefined>

export interface KillTrafficOptions {
  emulator: Emulator
  chats: readonly Chat[]
  /** Messages a second of customers, and three quarters as many of the API. */
  perSecond: number
  seed: number
  send: Send
}

/** Requests under way at once. Those of a chat go one after the other, as an integrator does who wants them in order. */
const LANES = 32
const ASK_AGAIN_MS = 250
const LOOK_AGAIN_MS = 20
const OPENED_AT_ONCE = 8

/** Customers who write, and a company's system that does: at a pace, whatever happens to the gateway. */
export class KillTraffic {
  readonly #options: KillTrafficOptions
  readonly #lanes: Promise<void>[] = Array.from({ length: LANES }, () => Promise.resolve())
  readonly #ending = new AbortController()
  readonly #byWhatsappId = new Map<string, Written>()
  /** What a session has receipted. */
  readonly #takenIds = new Set<string>()
  /** By the number of each session: when the newest message was written that it has receipted. */
  readonly #takenAtMs = new Map<string, number>()
  #acceptedSinceMs = 0
  readonly written: Written[] = []
  /** In the order of acceptance. */
  readonly accepted: Accepted[] = []
  readonly refused: string[] = []

  constructor(options: KillTrafficOptions) {
    this.#options = options
    options.emulator.on('receipt', ({ ids, type }) => {
      if (type !== 'retry') for (const id of ids) this.#taken(id)
    })
  }

  /**
   * Each customer writes once and is written to once, a few at a time: a first message costs both sides so much more than
   * those that follow that all chats at once would only make everybody wait.
   */
  async open(): Promise<void> {
    const { chats } = this.#options
    const waiting = [...chats.entries()]
    const openSome = async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const [n, chat] = next
        const { whatsappId } = await this.#write(chat, `Hello ${n}`)
        await this.#send(chat, `Welcome ${n}`)
        while (!this.#takenIds.has(whatsappId)) await delay(LOOK_AGAIN_MS)
      }
    }
    await Promise.all(Array.from({ length: OPENED_AT_ONCE }, openSome))
  }

  /** Until `end` is called. */
  async run(): Promise<void> {
    const { chats, perSecond, seed } = this.#options
    const random = randomFrom(seed)
    // Three of four messages of a customer are followed by one of the company's. With the answers, which take together
    // what was written while nobody answered, at least as many go out as come in. And a customer who only ever replied to
    // answers within seconds would be taken for a program, and rightly.
    const writtenIn = new Map<Chat, number>()
    const startedAtMs = performance.now()
    for (let n = 0; !this.#ending.signal.aborted; n++) {
      const waitMs = startedAtMs + (n * 1000) / perSecond - performance.now()
      if (waitMs > 1) await delay(waitMs)
      const chat = chats[Math.floor(random() * chats.length)]
      if (chat === undefined) throw new Error('There are no chats.')
      await this.#write(chat, `Question ${n}`)
      const count = (writtenIn.get(chat) ?? 0) + 1
      writtenIn.set(chat, count)
      if (count % 4 === 0) continue
      const lane = chats.indexOf(chat) % LANES
      this.#lanes[lane] = this.#lanes[lane]?.then(() => this.#send(chat, `News ${n}`)) ?? Promise.resolve()
    }
  }

  /** Nobody writes any more. Resolves when everything that was to be sent is accepted. */
  async end(): Promise<void> {
    this.#ending.abort()
    await Promise.all(this.#lanes)
  }

  /** Whether every session has taken what was written after this moment, and the API accepted what was sent after it. */
  isFlowingSince(atMs: number): boolean {
    const phones = new Set(this.#options.chats.map(({ phone }) => phone))
    return this.#acceptedSinceMs > atMs && [...phones].every((phone) => (this.#takenAtMs.get(phone) ?? 0) > atMs)
  }

  async #write(chat: Chat, text: string): Promise<Written> {
    const { customer, phone, addressing } = chat
    const atMs = Date.now()
    const { id } = await this.#options.emulator.sendText({ from: customer, to: phone, text, addressing })
    const written = { chat, text, whatsappId: id, atMs }
    this.written.push(written)
    this.#byWhatsappId.set(id, written)
    return written
  }

  #taken(whatsappId: string): void {
    this.#takenIds.add(whatsappId)
    const written = this.#byWhatsappId.get(whatsappId)
    if (written === undefined) return
    const { phone } = written.chat
    this.#takenAtMs.set(phone, Math.max(this.#takenAtMs.get(phone) ?? 0, written.atMs))
  }

  async #send(chat: Chat, text: string): Promise<void> {
    for (;;) {
      const askedAtMs = Date.now()
      try {
        const id = await this.#options.send(chat, text)
        if (id !== undefined) {
          this.accepted.push({ chat, text, id, atMs: askedAtMs })
          this.#acceptedSinceMs = Math.max(this.#acceptedSinceMs, askedAtMs)
          return
        }
      } catch (error) {
        this.refused.push(`${text}: ${String(error)}`)
        return
      }
      await delay(ASK_AGAIN_MS)
    }
  }
}
