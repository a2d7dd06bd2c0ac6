import { isAnswerable } from '#src/model/answerable.ts'
import type { Sealer } from '#src/model/sealing.ts'
import { KEY_KINDS, type KeyKind, type ReceivedMessage, type SentMessage } from '#src/model/session-store.ts'
import { storableJson, storableText } from '#src/model/storable-text.ts'
import { foldReceipts, type Progress } from './receipts.ts'
import type { SessionChanges } from './session-changes.ts'

/** Whose changes they are, and under which lease they were made. */
export interface Owner {
  readonly sessionId: string
  readonly companyId: string
  readonly epoch: number
}

/** The changes of one session as they go into the database: encoded, sealed, storable. Made once, committed or retried. */
export interface SealedChanges<Session extends Owner = Owner> {
  session: Session
  /** The sequence number of the newest change among them. */
  upTo: number
  /** About the size of what is sent. */
  bytes: number
  keys: { kind: number; id: string; value: Uint8Array }[]
  deletedKeys: { kind: number; id: string }[]
  messages: MessageRow[]
  journal: { ciphertextHash: Uint8Array; plaintext: Uint8Array }[]
  receipts: ({ whatsappId: string } & Progress)[]
  sent: SentMessage[]
}

interface MessageRow {
  message: ReceivedMessage
  whatsappId: string
  status: 'received' | Progress['status']
  content: string
  envelope: string
  isAnswerable: boolean
  sentAt: Date
  deliveredAt: Date | null
  readAt: Date | null
}

/** What binds a key's sealed value to its place. */
export const keyContext = (sessionId: string, kind: KeyKind, id: string): string => `${sessionId}/${kind}/${id}`

export const journalContext = (sessionId: string, ciphertextHash: Uint8Array): string =>
  `${sessionId}/journal/${Buffer.from(ciphertextHash).toString('hex')}`

export const sentContext = (sessionId: string, whatsappId: string): string => `${sessionId}/sent/${whatsappId}`

/** Encodes and seals what a session has changed. @throws whatever `encode` of a key throws */
export function sealChanges<Session extends Owner>(
  session: Session,
  sealer: Sealer,
  changes: SessionChanges,
  upTo: number,
): SealedChanges<Session> {
  const sealed: SealedChanges<Session> = {
    session,
    upTo,
    bytes: 0,
    keys: [],
    deletedKeys: [],
    messages: [],
    journal: [],
    receipts: [],
    sent: [],
  }
  for (const change of changes.keys.values()) {
    const [kind, id] = [KEY_KINDS[change.kind], storableText(change.id)]
    if (change.encode === null) {
      sealed.deletedKeys.push({ kind, id })
    } else {
      const value = sealer.seal(change.encode(), keyContext(session.sessionId, change.kind, id))
      sealed.keys.push({ kind, id, value })
      sealed.bytes += value.byteLength
    }
  }
  for (const { ciphertextHash, plaintext } of changes.journal) {
    const value = sealer.seal(plaintext, journalContext(session.sessionId, ciphertextHash))
    sealed.journal.push({ ciphertextHash, plaintext: value })
    sealed.bytes += value.byteLength
  }
  for (const { whatsappId, recipient, plaintext } of changes.sent) {
    const value = sealer.seal(plaintext, sentContext(session.sessionId, whatsappId))
    sealed.sent.push({ whatsappId, recipient, plaintext: value })
    sealed.bytes += value.byteLength
  }
  const progress = foldReceipts(changes.receipts)
  for (const [whatsappId, furthest] of progress)
    sealed.receipts.push({ ...furthest, whatsappId: storableText(whatsappId) })
  const now = new Date()
  for (const message of oncePerId(changes.messages)) {
    const row = messageRow(message, progress, now)
    sealed.messages.push(row)
    sealed.bytes += row.content.length + row.envelope.length + (message.raw?.byteLength ?? 0)
  }
  return sealed
}

/**
 * One statement cannot write the same row twice. Of the copies of a message the first one counts, and a pending one
 * gives its place to the one that can be read.
 */
function oncePerId(messages: readonly ReceivedMessage[]): Iterable<ReceivedMessage> {
  if (messages.length < 2) return messages
  const copies = new Map<string, ReceivedMessage>()
  for (const message of messages) {
    const name = `${message.direction}/${message.contactId}/${message.whatsappId}`
    const first = copies.get(name)
    if (first === undefined) copies.set(name, message)
    else if (first.content.kind === 'pending') copies.set(name, { ...message, id: first.id })
  }
  return copies.values()
}

function messageRow(message: ReceivedMessage, progress: ReadonlyMap<string, Progress>, now: Date): MessageRow {
  // A sender's clock can say anything.
  const sentAt = Number.isNaN(message.sentAt.getTime()) ? now : message.sentAt
  const row: MessageRow = {
    message,
    whatsappId: storableText(message.whatsappId),
    status: 'received',
    content: storableJson(message.content),
    envelope: storableJson(message.envelope),
    isAnswerable: isAnswerable({ ...message, sentAt }, now.getTime()),
    sentAt,
    deliveredAt: null,
    readAt: null,
  }
  if (message.direction === 'inbound') return row
  // A receipt in the same statement as its message finds no row yet: it goes into the row.
  const furthest = progress.get(message.whatsappId)
  return { ...row, status: 'sent', ...(furthest && { ...furthest, sentAt }) }
}
