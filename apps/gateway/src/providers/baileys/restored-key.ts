import type { KeyKind } from '#src/model/session-store.ts'
import { closedForSending, type SessionRecord } from './session-record.ts'

/**
 * A session's key as it was at an earlier moment, as it may be used again. The other sides have gone on meanwhile: what an
 * old ratchet sends they would take for a repetition, and what they send now it may still read. So each ratchet is kept
 * for reading and closed for sending: the next message to that device begins a new one. Who has been given the group keys
 * is forgotten: they are given again.
 */
export function restoredKey(kind: KeyKind, value: Uint8Array): Uint8Array | null {
  if (kind === 'sender-key-memory') return null
  if (kind !== 'session') return value
  const record = JSON.parse(Buffer.from(value).toString()) as SessionRecord
  return Buffer.from(JSON.stringify(closedForSending(record)))
}
