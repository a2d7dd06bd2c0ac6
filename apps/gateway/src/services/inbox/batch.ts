/** A burst of messages of one chat, as the moments of its first and its newest message. */
export interface Batch {
  firstAtMs: number
  lastAtMs: number
}

export interface BatchingSettings {
  /** The burst is over when nothing came for so long. */
  quietMs: number
  /** The burst is over so long after its first message, quiet or not. */
  maxMs: number
}

/** The batch with one more message. Messages may be told of in any order. */
export const joinBatch = (batch: Batch | undefined, atMs: number): Batch =>
  batch === undefined
    ? { firstAtMs: atMs, lastAtMs: atMs }
    : { firstAtMs: Math.min(batch.firstAtMs, atMs), lastAtMs: Math.max(batch.lastAtMs, atMs) }

/** The moment from which the batch may be answered. */
export const batchClosesAtMs = (batch: Batch, { quietMs, maxMs }: BatchingSettings): number =>
  Math.min(batch.lastAtMs + quietMs, batch.firstAtMs + maxMs)
