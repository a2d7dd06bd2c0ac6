/** A burst of messages of one chat. */
export interface Batch {
  count: number
  firstAtMs: number
  /** The newest message, or the customer's last stroke if that came later. */
  lastAtMs: number
  /** The customer is writing, as far as is known until then. */
  typingUntilMs?: number
}

export interface BatchingSettings {
  /** The burst is over when nothing came for so long. */
  quietMs: number
  /** The burst is over so long after its first message, quiet or not. */
  maxMs: number
  /** The burst is over with so many messages; 1 has each message answered by itself. */
  maxMessages: number
}

/** Phones say again after some seconds that somebody is still writing; one that has gone away says nothing more. */
const TYPING_HOLDS_MS = 15_000

export const batchOfOne = (atMs: number): Batch => ({ count: 1, firstAtMs: atMs, lastAtMs: atMs })

/** Both together. Messages may be told of in any order. A message that comes says that its writing is over. */
export const joinBatch = (batch: Batch | undefined, more: Batch): Batch => ({
  count: (batch?.count ?? 0) + more.count,
  firstAtMs: Math.min(batch?.firstAtMs ?? more.firstAtMs, more.firstAtMs),
  lastAtMs: Math.max(batch?.lastAtMs ?? more.lastAtMs, more.lastAtMs),
})

/** The customer is writing the next message of the batch, or has stopped: quiet begins only now. */
export const noteTyping = ({ count, firstAtMs, lastAtMs }: Batch, isTyping: boolean, atMs: number): Batch => ({
  count,
  firstAtMs,
  lastAtMs: Math.max(lastAtMs, atMs),
  ...(isTyping && { typingUntilMs: atMs + TYPING_HOLDS_MS }),
})

export const isFull = ({ count }: Batch, { maxMessages }: BatchingSettings): boolean => count >= maxMessages

/** The moment from which the batch may be answered: never later than its first message allows. */
export const batchClosesAtMs = (batch: Batch, settings: BatchingSettings): number => {
  const { firstAtMs, lastAtMs, typingUntilMs = lastAtMs } = batch
  const { quietMs, maxMs } = settings
  const quietAtMs = isFull(batch, settings) ? lastAtMs : Math.max(lastAtMs + quietMs, typingUntilMs)
  return Math.min(quietAtMs, firstAtMs + maxMs)
}
