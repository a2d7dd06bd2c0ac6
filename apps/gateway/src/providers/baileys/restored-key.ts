import type { KeyKind } from '#src/model/session-store.ts'

/** libsignal's mark of a ratchet that is not to be used for sending any more is the moment at which that was decided. */
const IS_OPEN = -1

interface StoredSession {
  _sessions?: Record<string, { indexInfo?: { closed?: number } }>
}

/**
 * A session's key as it was at an earlier moment, as it may be used again. The other sides have gone on meanwhile: what an
 * old ratchet sends they would take for a repetition, and what they send now it may still read. So each ratchet is kept
 * for reading and closed for sending: the next message to that device begins a new one. Who has been given the group keys
 * is forgotten: they are given again.
 */
export function restoredKey(kind: KeyKind, value: Uint8Array): Uint8Array | null {
  if (kind === 'sender-key-memory') return null
  if (kind !== 'session') return value
  const session = JSON.parse(Buffer.from(value).toString()) as StoredSession
  for (const { indexInfo } of Object.values(session._sessions ?? {}))
    if (indexInfo?.closed === IS_OPEN) indexInfo.closed = Date.now()
  return Buffer.from(JSON.stringify(session))
}
