import type { MessageContent } from '@frontdesk/api-contract'
import type {
  KeyKind,
  ReceiptUpdate,
  ReceivedMessage,
  RetryRequest,
  SentMessage,
  SessionChange,
  SessionStore,
} from '#src/model/session-store.ts'
import type { StoreError } from '#src/model/store-error.ts'

const isExpected = (content: MessageContent): boolean =>
  content.kind === 'pending' && ['undecrypted', 'unavailable'].includes(content.reason)

/** A session's store in memory, for tests that decide when, and whether, something is committed and read. */
export class MemorySessionStore implements SessionStore {
  readonly keys = new Map<string, Uint8Array>()
  readonly messages: ReceivedMessage[] = []
  readonly receipts: ReceiptUpdate[] = []
  readonly plaintexts = new Map<string, Uint8Array>()
  readonly sent = new Map<string, SentMessage>()
  readonly requests = new Map<string, number>()
  /** How many keys of each kind were read. */
  readonly reads: { kind: KeyKind; ids: readonly string[] | undefined }[] = []
  lookups = 0
  /** How long a read takes. */
  readDelayMs = 0
  /** How long a commit takes. */
  commitDelayMs = 0
  /** Reads of this kind wait. */
  heldReads: { kind: KeyKind; until: Promise<void> } | undefined
  /** While true nothing is committed. */
  isHeld = false
  published = 0
  #committed = 0
  #pending: SessionChange[] = []
  #failure: StoreError | undefined
  #waiting: { sequence: number; resolve: () => void; reject: (error: StoreError) => void }[] = []

  publish(change: SessionChange): number {
    this.published += 1
    this.#pending.push(change)
    for (const { ciphertextHash, raw } of change.messages ?? [])
      if (ciphertextHash && raw) this.#remember(ciphertextHash, raw)
    for (const { ciphertextHash, plaintext } of change.journal ?? []) this.#remember(ciphertextHash, plaintext)
    if (!this.isHeld && this.commitDelayMs > 0) setTimeout(() => this.commit(), this.commitDelayMs)
    else if (!this.isHeld) queueMicrotask(() => this.commit())
    return this.published
  }

  isCommitted(sequence: number): boolean {
    return sequence <= this.#committed
  }

  committed(sequence: number): Promise<void> {
    if (this.isCommitted(sequence)) return Promise.resolve()
    if (this.#failure) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => this.#waiting.push({ sequence, resolve, reject }))
  }

  async readKeys(kind: KeyKind, ids?: readonly string[]): Promise<Map<string, Uint8Array>> {
    this.reads.push({ kind, ids })
    if (this.heldReads?.kind === kind) await this.heldReads.until
    if (this.readDelayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.readDelayMs))
    if (this.#failure) throw this.#failure
    const isPending = this.#pending.some(({ keys = [] }) =>
      keys.some((key) => key.kind === kind && ids?.includes(key.id) !== false),
    )
    if (isPending) await this.committed(this.published)
    const asked =
      ids ?? [...this.keys.keys()].flatMap((name) => (name.startsWith(`${kind}/`) ? name.slice(kind.length + 1) : []))
    return new Map(asked.flatMap((id) => [...this.#stored(kind, id)].map((value) => [id, value] as const)))
  }

  async findPlaintext(hash: Uint8Array): Promise<Uint8Array | undefined> {
    this.lookups += 1
    return this.plaintexts.get(Buffer.from(hash).toString('hex'))
  }

  async findPending(): Promise<Record<string, string>[]> {
    return this.messages.filter(({ content }) => isExpected(content)).map(({ envelope }) => envelope)
  }

  async requestSent({ whatsappId, device, recipients }: RetryRequest) {
    const sent = this.sent.get(whatsappId)
    if (!sent || (recipients && !recipients.includes(sent.recipient))) return undefined
    const name = `${whatsappId}/${device}`
    const requests = (this.requests.get(name) ?? 0) + 1
    this.requests.set(name, requests)
    return { ...sent, requests }
  }

  /** Commits everything that is held. */
  commit(): void {
    if (this.#failure) return
    for (const change of this.#pending) this.#apply(change)
    this.#pending = []
    this.#committed = this.published
    const waiting = this.#waiting
    this.#waiting = []
    for (const { resolve } of waiting) resolve()
  }

  fail(error: StoreError): void {
    this.#failure = error
    for (const { reject } of this.#waiting) reject(error)
    this.#waiting = []
  }

  #stored(kind: KeyKind, id: string): Set<Uint8Array> {
    const value = this.keys.get(`${kind}/${id}`)
    return new Set(value ? [value] : [])
  }

  #remember(hash: Uint8Array, plaintext: Uint8Array): void {
    this.plaintexts.set(Buffer.from(hash).toString('hex'), plaintext)
  }

  #apply({ keys = [], messages = [], receipts = [], sent = [] }: SessionChange): void {
    for (const { kind, id, encode } of keys) {
      if (encode) this.keys.set(`${kind}/${id}`, encode())
      else this.keys.delete(`${kind}/${id}`)
    }
    for (const message of messages) {
      const place = this.messages.findIndex(
        ({ whatsappId, direction, contactId }) =>
          whatsappId === message.whatsappId && direction === message.direction && contactId === message.contactId,
      )
      const stored = this.messages[place]
      if (!stored) this.messages.push(message)
      else if (stored.content.kind === 'pending') this.messages[place] = { ...message, id: stored.id }
    }
    this.receipts.push(...receipts)
    for (const one of sent) this.sent.set(one.whatsappId, one)
  }
}
