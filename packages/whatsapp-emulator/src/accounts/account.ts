import { createHash } from 'node:crypto'
import { dropOldest } from '../books/drop-oldest.ts'
import { Ring } from '../books/ring.ts'
import type { LoginRefusal } from '../faults/login-refusal.ts'
import type { MessageBody } from '../signal/message-codec.ts'
import { SignalDevice } from '../signal/signal-device.ts'
import { type Addressing, lidJid, phoneNumberJid } from '../wire/jids.ts'
import { ChatLog } from './chat-log.ts'
import type { Companion } from './companion.ts'

/** A message that this phone sent, kept for a companion that asks for it again. */
export interface SentMessage {
  id: string
  body: MessageBody
  to: Account
  addressing: Addressing
  /** Between a phone and its own companions: app-state keys, history. */
  isPeer: boolean
}

const MAX_SENT_MESSAGES = 256
const MAX_RETRY_COUNTS = 256

/**
 * One phone number: its simulated phone and the companions linked to it. Everything beyond the number comes into being
 * when it is first needed.
 */
export class Account {
  readonly phone: string
  readonly lid: string
  name: string
  readonly companions = new Map<number, Companion>()
  /** usync names no devices for this number, as for one that is not on WhatsApp. */
  hasNoDevices = false
  /** Why WhatsApp lets this number link no devices now, if it does not. */
  linkingRefusal: 'throttled' | 'blocked' | undefined
  /** How this number's next logins are refused, if they are. */
  loginRefusal: LoginRefusal | undefined
  /** The customers that bursts let write to this number, so that the next burst continues their sessions. */
  burstCustomers: string[] = []
  #lastCompanionId = 0
  #device: SignalDevice | undefined
  #chats: Map<string, ChatLog> | undefined
  #sent: { order: Ring<string>; byId: Map<string, SentMessage> } | undefined
  #retryCounts: Map<string, number> | undefined

  constructor(phone: string) {
    this.phone = phone
    this.lid = lidOf(phone)
    this.name = `Phone ${phone.slice(-4)}`
  }

  get device(): SignalDevice {
    this.#device ??= new SignalDevice()
    return this.#device
  }

  jid(addressing: Addressing): string {
    return addressing === 'lid' ? lidJid(this.lid) : phoneNumberJid(this.phone)
  }

  nextCompanionId(): number {
    return ++this.#lastCompanionId
  }

  get hasChats(): boolean {
    return this.#chats !== undefined
  }

  chats(): ChatLog[] {
    return [...(this.#chats?.values() ?? [])]
  }

  chatWith(partner: string): ChatLog {
    this.#chats ??= new Map()
    let chat = this.#chats.get(partner)
    if (!chat) {
      chat = new ChatLog(partner)
      this.#chats.set(partner, chat)
    }
    return chat
  }

  findChat(partner: string): ChatLog | undefined {
    return this.#chats?.get(partner)
  }

  rememberSent(message: SentMessage): void {
    this.#sent ??= { order: new Ring(MAX_SENT_MESSAGES), byId: new Map() }
    if (!this.#sent.byId.has(message.id)) {
      const dropped = this.#sent.order.push(message.id)
      if (dropped !== undefined) this.#sent.byId.delete(dropped)
    }
    this.#sent.byId.set(message.id, message)
  }

  findSent(id: string): SentMessage | undefined {
    return this.#sent?.byId.get(id)
  }

  /** Counts how often this phone has asked for a message again; the first time gives 1. */
  countRetry(id: string): number {
    this.#retryCounts ??= new Map()
    const count = (this.#retryCounts.get(id) ?? 0) + 1
    this.#retryCounts.set(id, count)
    if (this.#retryCounts.size > MAX_RETRY_COUNTS) dropOldest(this.#retryCounts)
    return count
  }
}

/** A number's LID: 15 digits, always the same for the same number, without anything of the number in it. */
function lidOf(phone: string): string {
  const digits = createHash('sha256').update(phone).digest().readUIntBE(0, 6).toString()
  return `1${digits.slice(0, 14).padStart(14, '0')}`
}
