import type { MessageContent, MessageOrigin, OutgoingContent } from '@frontdesk/api-contract'

/**
 * Kinds of Signal keys and other secrets that a session persists, by the number stored. A number is never reused.
 * The names are Baileys' `SignalDataTypeMap` plus `creds`.
 */
export const KEY_KINDS = {
  session: 0,
  'pre-key': 1,
  'identity-key': 2,
  'sender-key': 3,
  'sender-key-memory': 4,
  'app-state-sync-key': 5,
  'app-state-sync-version': 6,
  'lid-mapping': 7,
  'device-list': 8,
  tctoken: 9,
  creds: 10,
} as const
export type KeyKind = keyof typeof KEY_KINDS

export interface KeyChange {
  kind: KeyKind
  id: string
  /** Called at most once, at the commit, and only for the last change of a key in a batch. `null` deletes the key. */
  encode: (() => Uint8Array) | null
}

/** A decrypted message on its way into the inbox. */
export interface ReceivedMessage {
  /** UUID v7, made by the provider so that the row is known before it is committed. */
  id: string
  contactId: string
  direction: 'inbound' | 'outbound'
  origin: Extract<MessageOrigin, 'customer' | 'phone'>
  whatsappId: string
  /** SHA-256 of the ciphertext: a redelivery is answered from this row. */
  ciphertextHash: Uint8Array
  /** The decrypted protobuf as it came, padding removed. */
  raw: Uint8Array
  /** Attributes of the stanza that brought it. */
  envelope: Record<string, string>
  content: MessageContent
  /** Set for what arrived from WhatsApp's offline queue. */
  isOffline: boolean
  sentAt: Date
}

/** A decrypted ciphertext that makes no message (protocol and peer messages): kept so that a redelivery decrypts the same. */
export interface JournalEntry {
  ciphertextHash: Uint8Array
  plaintext: Uint8Array
}

export interface ReceiptUpdate {
  whatsappIds: string[]
  status: 'sent' | 'delivered' | 'read' | 'played'
  at: Date
}

/** Everything that one step of a session changes. It is committed as a whole or not at all. */
export interface SessionChange {
  keys?: KeyChange[]
  messages?: ReceivedMessage[]
  journal?: JournalEntry[]
  receipts?: ReceiptUpdate[]
}

/**
 * What one session persists. `publish` is synchronous and ordered: publish order is commit order, so the database always
 * holds a prefix of what the session did. Every commit carries the lease's epoch.
 */
export interface SessionStore {
  /** The sequence number of the newest change published by this session; 0 before the first. */
  readonly published: number
  /** Never throws. After the store has failed, what is published is dropped and `committed` rejects. */
  publish(change: SessionChange): number
  isCommitted(sequence: number): boolean
  /** Resolves when the change is committed. Rejects with `StoreError` when it never will be: the session must then fall silent. */
  committed(sequence: number): Promise<void>
  /** Opened values of the keys that exist, as of the newest change published: waits for its commit where it touches one of them. */
  readKeys(kind: KeyKind, ids: readonly string[]): Promise<Map<string, Uint8Array>>
  /** The plaintext once decrypted from this ciphertext, from the inbox or the journal, for 14 days; also one not committed yet. */
  findPlaintext(ciphertextHash: Uint8Array): Promise<Uint8Array | undefined>
  /** The content of an own message, for a contact that asks for it again. */
  findSentContent(whatsappId: string): Promise<OutgoingContent | undefined>
}
