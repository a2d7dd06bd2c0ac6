import type {
  JournalEntry,
  KeyChange,
  ReceiptUpdate,
  ReceivedMessage,
  SentMessage,
  SessionChange,
} from '#src/model/session-store.ts'

/** What a session has published since its last flush. Of the changes of one key only the last is kept. */
export class SessionChanges {
  readonly keys = new Map<string, KeyChange>()
  readonly messages: ReceivedMessage[] = []
  readonly journal: JournalEntry[] = []
  readonly receipts: ReceiptUpdate[] = []
  readonly sent: SentMessage[] = []
  /** How many changes were published. */
  operations = 0

  add(change: SessionChange): void {
    this.operations += 1
    for (const key of change.keys ?? []) this.keys.set(keyName(key.kind, key.id), key)
    if (change.messages) this.messages.push(...change.messages)
    if (change.journal) this.journal.push(...change.journal)
    if (change.receipts) this.receipts.push(...change.receipts)
    if (change.sent) this.sent.push(...change.sent)
  }

  /** Whether any of these keys was changed; any of the kind where no ids are given. */
  touches(kind: string, ids: readonly string[] | undefined): boolean {
    if (this.keys.size === 0) return false
    if (ids === undefined) return [...this.keys.values()].some((key) => key.kind === kind)
    return ids.some((id) => this.keys.has(keyName(kind, id)))
  }

  plaintextOf(ciphertextHash: Uint8Array): Uint8Array | undefined {
    const isSame = ({ ciphertextHash: other }: { ciphertextHash: Uint8Array | null }) =>
      other !== null && Buffer.compare(other, ciphertextHash) === 0
    return this.messages.find(isSame)?.raw ?? this.journal.find(isSame)?.plaintext
  }
}

const keyName = (kind: string, id: string): string => `${kind}/${id}`
