import { type BinaryNode, type CacheStore, decodeMessageNode, type WAMessageKey } from 'baileys'

/** As whatsmeow does: the sender's answer to the retry receipt usually comes within that time. */
const ASK_PHONE_AFTER_MS = 5000
const MAX_WAITING = 256

export interface UndecryptableOptions {
  /** Where Baileys notes which messages it has asked the phone for. */
  askedPhone: CacheStore
  me: () => { id: string; lid?: string | undefined } | undefined
  askPhone: (key: WAMessageKey) => Promise<unknown>
}

/**
 * What becomes of messages that cannot be read: their sender is asked at once, by Baileys' retry receipt; the phone some
 * seconds later, if that brought nothing.
 *
 * Without its cache of recent messages, which costs more memory than everything else in a session, Baileys asks the
 * phone first and waits two seconds for it, while no other message of the session is handled. It does not when it
 * finds that the phone has been asked already. So that is noted for it, and the question is put from here.
 */
export class UndecryptableMessages {
  readonly #options: UndecryptableOptions
  readonly #waiting = new Map<string, NodeJS.Timeout>()

  constructor(options: UndecryptableOptions) {
    this.#options = options
  }

  /** To be called before Baileys learns of the failure. */
  async failed(stanza: BinaryNode): Promise<void> {
    const { id } = stanza.attrs
    const me = this.#options.me()
    // Peer messages are the phone's own: nobody is asked for those.
    if (id === undefined || !me || stanza.attrs['category'] === 'peer') return
    await this.#options.askedPhone.set(id, true)
    if (this.#waiting.has(id) || this.#waiting.size >= MAX_WAITING) return
    const { key } = decodeMessageNode(stanza, me.id, me.lid ?? '').fullMessage
    const timer = setTimeout(() => void this.#askPhone(id, key), ASK_PHONE_AFTER_MS)
    this.#waiting.set(id, timer.unref())
  }

  resolved(stanza: BinaryNode): void {
    const { id } = stanza.attrs
    if (id === undefined) return
    clearTimeout(this.#waiting.get(id))
    this.#waiting.delete(id)
  }

  close(): void {
    for (const timer of this.#waiting.values()) clearTimeout(timer)
    this.#waiting.clear()
  }

  async #askPhone(id: string, key: WAMessageKey): Promise<void> {
    this.#waiting.delete(id)
    try {
      await this.#options.askedPhone.del(id)
      await this.#options.askPhone(key)
    } catch {
      // The phone is off, or the connection has ended: the sender has been asked as well.
    }
  }
}
