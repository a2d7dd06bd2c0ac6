import type { RatchetStore } from './ratchet-store.ts'

/** libsignal's mark of a ratchet that is not to be used for sending any more is the moment at which that was decided. */
const IS_OPEN = -1

/** libsignal's mark of a chain with which messages are read. */
const RECEIVING = 2

/** What libsignal stores of one device, whatever its types say: the ratchets with it, by their base keys. */
export interface SessionRecord {
  _sessions?: Record<string, Ratchet>
}

interface Ratchet {
  indexInfo?: { closed?: number; used?: number }
  _chains?: Record<string, Chain>
}

interface Chain {
  chainType?: number
  /** Without a key it is closed: the other side has gone on to another one. */
  chainKey?: { key?: string }
  /** For messages that have been skipped. */
  messageKeys?: Record<string, string>
}

/**
 * The record without the chains with which nothing can be read any more. libsignal keeps them for ever, one for each time
 * that the conversation has changed sides, and writes the whole record with each message. It is the same record, which
 * libsignal has made to be stored.
 */
export function withoutSpentChains(record: SessionRecord): SessionRecord {
  for (const { _chains: chains = {} } of Object.values(record._sessions ?? {})) {
    for (const [key, { chainType, chainKey, messageKeys = {} }] of Object.entries(chains)) {
      const isClosed = chainType === RECEIVING && chainKey !== undefined && chainKey.key === undefined
      if (isClosed && Object.keys(messageKeys).length === 0) delete chains[key]
    }
  }
  return record
}

/** The same ratchets, for reading only: the next message to the device begins a new one. */
export function closedForSending(record: SessionRecord): SessionRecord {
  const nowMs = Date.now()
  const sessions = Object.entries(record._sessions ?? {}).map(([baseKey, session]) => [
    baseKey,
    session.indexInfo?.closed === IS_OPEN
      ? { ...session, indexInfo: { ...session.indexInfo, closed: nowMs } }
      : session,
  ])
  return { ...record, _sessions: Object.fromEntries(sessions) }
}

/** The ratchets of both; messages are sent with those of the first. */
export const joined = (record: SessionRecord, former: SessionRecord): SessionRecord => ({
  ...record,
  _sessions: { ...record._sessions, ...closedForSending(former)._sessions },
})

/**
 * Decrypts with each of the address's ratchets alone, those that were used last first. Two sides that write to each other
 * for the first time in the same moment have two. libsignal would try them in turn and store what a message has made of
 * one that it does not belong to: nothing could be read or sent with that one any more.
 */
export async function tryEachRatchet<Result>(
  keys: RatchetStore['operationKeys'],
  address: string,
  decrypt: () => Promise<Result>,
): Promise<Result> {
  const read = async () => (await keys.get('session', [address]))[address] as SessionRecord | undefined
  const write = (record: SessionRecord) => keys.set({ session: { [address]: record as Uint8Array } })
  const record = await read()
  const ratchets = Object.entries(record?._sessions ?? {})
  if (ratchets.length < 2) return await decrypt()
  let failure: unknown
  for (const [baseKey, ratchet] of ratchets.toSorted(([, a], [, b]) => lastUseOf(b) - lastUseOf(a))) {
    await write({ ...record, _sessions: { [baseKey]: ratchet } })
    try {
      const result = await decrypt()
      const after = await read()
      await write({ ...record, _sessions: { ...record?._sessions, ...after?._sessions } })
      return result
    } catch (error) {
      failure = error
    }
  }
  await write({ ...record })
  throw failure
}

const lastUseOf = ({ indexInfo }: { indexInfo?: { used?: number } }): number => indexInfo?.used ?? 0
