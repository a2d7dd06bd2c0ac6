import { type BinaryNode, type CacheStore, decodeMessageNode, type WAMessageKey } from 'baileys'

/** As whatsmeow does: the sender's answer to the retry receipt usually comes within that time. */
const ASK_PHONE_AFTER_MS = 5000
const MAX_WAITING = 256

export interface UndecryptableOptions {
  /** Where Baileys notes which messages it has asked the phone for. Entries live for an hour. */
  askedPhone: CacheStore
  me: () => { id: string; lid?: string | undefined } | undefined
  askPhone: (key: WAMessageKey) => Promise<unknown>
  /** Attributes of the stanzas of messages that an earlier connection has left pending. */
  findPending: () => Promise<Record<string, string>[]>
}

/**
 * What becomes of messages that cannot be read: their sender is asked at once, by Baileys' retry receipt; the phone some
 * seconds later, if that brought nothing, and again by a later connection, at most once an hour.
 *
 * Without its cache of recent messages, which costs more memory than everything else in a session, Baileys asks the
 * phone first and waits two seconds for it, while no other message of the session is handled. It does not when it
 * finds that the phone has been asked already. So that is noted for it, and the question is put from here.
 */
export class UndecryptableMessages {
  readonly #options: UndecryptableOptions
  readonly #waiting = new Map<string, NodeJS.Timeout>()
  #isClosed = false

  constructor(options: UndecryptableOptions) {
    this.#options = options
  }

  /** To be called before Baileys learns of the failure. */
  async failed(stanza: BinaryNode): Promise<void> {
    const key = this.#keyOf(stanza)
    // Peer messages are the phone's own: nobody is asked for those.
    if (!key || stanza.attrs['category'] === 'peer') return
    await this.#options.askedPhone.set(key.id, true)
    if (this.#waiting.has(key.id) || this.#waiting.size >= MAX_WAITING || this.#isClosed) return
    const timer = setTimeout(() => void this.#askPhone(key), ASK_PHONE_AFTER_MS)
    this.#waiting.set(key.id, timer.unref())
  }

  resolved(stanza: BinaryNode): void {
    const { id } = stanza.attrs
    if (id === undefined) return
    clearTimeout(this.#waiting.get(id))
    this.#waiting.delete(id)
  }

  /** Asks for what is still pending. To be called when WhatsApp has handed over all that has waited for this connection. */
  async resume(): Promise<void> {
    for (const attrs of await this.#options.findPending()) {
      const key = this.#keyOf({ tag: 'message', attrs })
      if (!key || this.#waiting.has(key.id) || (await this.#options.askedPhone.get(noteOf(key)))) continue
      void this.#askPhone(key)
    }
  }

  close(): void {
    this.#isClosed = true
    for (const timer of this.#waiting.values()) clearTimeout(timer)
    this.#waiting.clear()
  }

  async #askPhone(key: WAMessageKey & { id: string }): Promise<void> {
    const { askedPhone, askPhone } = this.#options
    this.#waiting.delete(key.id)
    if (this.#isClosed) return
    try {
      await askedPhone.set(noteOf(key), true)
      await askedPhone.del(key.id)
      await askPhone(key)
    } catch {
      // The phone is off, or the connection has ended: the sender has been asked as well.
    }
  }

  #keyOf(stanza: BinaryNode): (WAMessageKey & { id: string }) | undefined {
    const me = this.#options.me()
    const { id } = stanza.attrs
    if (id === undefined || !me) return undefined
    const { remoteJid, fromMe, participant } = decodeMessageNode(stanza, me.id, me.lid ?? '').fullMessage.key
    return { id, remoteJid: remoteJid ?? null, fromMe: fromMe ?? false, participant: participant ?? null }
  }
}

/** Baileys forgets its own note after some seconds. */
const noteOf = ({ id }: { id: string }): string => `asked for ${id}`
