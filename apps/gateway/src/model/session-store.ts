import type { MessageContent, MessageOrigin } from '@frontdesk/api-contract'

/**
 * Kinds of Signal keys and other secrets that a session persists, by the number stored. A number is never reused.
 * The names are Baileys' `SignalDataTypeMap` plus `creds`, and histories that the phone has announced and nobody has read.
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
  'undone-history': 11,
} as const
export type KeyKind = keyof typeof KEY_KINDS

export interface KeyChange {
  kind: KeyKind
  id: string
  /** Called at most once, at the commit, and only for the last change of a key in a batch. `null` deletes the key. */
  encode: (() => Uint8Array) | null
}

/** A message on its way into the inbox: decrypted, or pending, with content that says why it cannot be read yet. */
export interface ReceivedMessage {
  /** UUID v7, made by the provider so that the row is known before it is committed. */
  id: string
  contactId: string
  direction: 'inbound' | 'outbound'
  origin: Extract<MessageOrigin, 'customer' | 'phone'>
  whatsappId: string
  /** SHA-256 of the ciphertext: a redelivery is answered from this row. Null while it is pending. */
  ciphertextHash: Uint8Array | null
  /** The decrypted protobuf as it came, padding removed. Null while it is pending. */
  raw: Uint8Array | null
  /** Attributes of the stanza that brought it. */
  envelope: Record<string, string>
  content: MessageContent
  /** Set for what arrived from WhatsApp's offline queue. */
  isOffline: boolean
  /** Set for what the phone tells of the time before it was linked. */
  isHistory?: true
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

/** A message that is about to leave: kept for devices that cannot read it and ask for it again. */
export interface SentMessage {
  whatsappId: string
  /** The JID that it goes to, without a device. */
  recipient: string
  /** The protobuf that is encrypted, before padding. */
  plaintext: Uint8Array
}

/** A device that asks for a message again. */
export interface RetryRequest {
  whatsappId: string
  /** The device's JID: what requests are counted by. */
  device: string
  /** The JIDs by which the message may have been sent to the device's owner; undefined for a device of the own account. */
  recipients: readonly string[] | undefined
}

/** Everything that one step of a session changes. It is committed as a whole or not at all. */
export interface SessionChange {
  keys?: KeyChange[]
  messages?: ReceivedMessage[]
  journal?: JournalEntry[]
  receipts?: ReceiptUpdate[]
  sent?: SentMessage[]
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
  /**
   * Opened values of the keys that exist, of all of the kind where no ids are given, as of the newest change published:
   * waits for its commit where it touches one of them.
   */
  readKeys(kind: KeyKind, ids?: readonly string[]): Promise<Map<string, Uint8Array>>
  /** The plaintext once decrypted from this ciphertext, from the inbox or the journal, for 14 days; also one not committed yet. */
  findPlaintext(ciphertextHash: Uint8Array): Promise<Uint8Array | undefined>
  /** Attributes of the stanzas of messages that are pending and may still come: of the newest 50. */
  findPending(): Promise<Record<string, string>[]>
  /**
   * What was sent under this id to the device's owner, up to 7 days ago, and the how-manieth request of the device for it
   * this one is: it is counted for good.
   */
  requestSent(request: RetryRequest): Promise<(SentMessage & { requests: number }) | undefined>
}
