import { Ring } from '../books/ring.ts'
import type { Chat, ChatMessage } from '../control/control.ts'
import type { Addressing } from '../wire/jids.ts'

/** How long a phone shows somebody as typing when the end of it is never heard. */
const TYPING_SHOWN_MS = 25_000
const CAPACITY = 2_000
const STATUS_ORDER: ChatMessage['status'][] = ['pending', 'sent', 'delivered', 'read']

/** One chat on one phone: what is displayed there, the newest 2,000 messages. */
export class ChatLog {
  /** The other number. */
  readonly partner: string
  /** How the partner addressed this phone last: answers and receipts go the same way. */
  addressing: Addressing = 'pn'
  #messages = new Ring<ChatMessage>(CAPACITY)
  #byId = new Map<string, ChatMessage>()
  #unread = new Set<string>()
  #typingUntilMs = 0

  constructor(partner: string) {
    this.partner = partner
  }

  get unread(): number {
    return this.#unread.size
  }

  get isTyping(): boolean {
    return Date.now() < this.#typingUntilMs
  }

  get last(): ChatMessage | undefined {
    return this.#messages.at(this.#messages.size - 1)
  }

  /** Returns false for a copy of a message that is displayed already. */
  add(message: ChatMessage): boolean {
    const key = keyOf(message)
    if (this.#byId.has(key)) return false
    this.#byId.set(key, message)
    const dropped = this.#messages.push(message)
    if (dropped) {
      this.#byId.delete(keyOf(dropped))
      this.#unread.delete(dropped.id)
    }
    if (!message.fromMe) {
      this.#unread.add(message.id)
      this.#typingUntilMs = 0
    }
    return true
  }

  /** Own messages only ever advance; returns whether one did. */
  advance(ids: Iterable<string>, status: ChatMessage['status']): boolean {
    let hasChanged = false
    for (const id of ids) {
      const message = this.#byId.get(keyOf({ id, fromMe: true }))
      if (!message || STATUS_ORDER.indexOf(message.status) >= STATUS_ORDER.indexOf(status)) continue
      message.status = status
      hasChanged = true
    }
    return hasChanged
  }

  /** Marks received messages as read and returns the ids that were not, oldest first; all of them by default. */
  read(ids: Iterable<string> = [...this.#unread]): string[] {
    return [...ids].filter((id) => this.#unread.delete(id))
  }

  setTyping(isTyping: boolean): void {
    this.#typingUntilMs = isTyping ? Date.now() + TYPING_SHOWN_MS : 0
  }

  toChat(): Chat {
    return { with: this.partner, messages: [...this.#messages].map((message) => ({ ...message })) }
  }
}

function keyOf({ id, fromMe }: { id: string; fromMe: boolean }): string {
  return fromMe ? `>${id}` : `<${id}`
}
