import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Batch, batchClosesAtMs, joinBatch } from '#src/services/inbox/batch.ts'

const settings = fc.record({ quietMs: fc.nat(5000), maxMs: fc.nat(20_000) })
/** Moments of arrival, oldest first. */
const arrivals = fc.array(fc.nat(4000), { minLength: 1, maxLength: 40 }).map((gaps) => {
  let atMs = 0
  return gaps.map((gapMs) => (atMs += gapMs))
})

/** Runs a chat's messages through batching on a made-up clock: what arrives until a batch closes belongs to it. */
function batchesOf(momentsMs: number[], { quietMs, maxMs }: { quietMs: number; maxMs: number }) {
  const batches: { messages: number[]; closedAtMs: number }[] = []
  let batch: Batch | undefined
  let messages: number[] = []
  const close = () => {
    if (batch !== undefined) batches.push({ messages, closedAtMs: batchClosesAtMs(batch, { quietMs, maxMs }) })
    batch = undefined
    messages = []
  }
  for (const atMs of momentsMs) {
    if (batch !== undefined && batchClosesAtMs(batch, { quietMs, maxMs }) <= atMs) close()
    batch = joinBatch(batch, atMs)
    messages.push(atMs)
  }
  close()
  return batches
}

test('every message is in exactly one batch, in the order of arrival', () => {
  fc.assert(
    fc.property(arrivals, settings, (moments, options) => {
      expect(batchesOf(moments, options).flatMap(({ messages }) => messages)).toEqual(moments)
    }),
  )
})

test('a batch closes after the quiet time or at the cap, whichever comes first, and never before its last message', () => {
  fc.assert(
    fc.property(arrivals, settings, (moments, options) => {
      for (const { messages, closedAtMs } of batchesOf(moments, options)) {
        const [first = 0] = messages
        const last = messages.at(-1) ?? 0
        expect(closedAtMs).toBeGreaterThanOrEqual(last)
        expect([last + options.quietMs, first + options.maxMs]).toContain(closedAtMs)
        expect(closedAtMs).toBeLessThanOrEqual(first + options.maxMs)
      }
    }),
  )
})

test('within a batch nobody was quiet for the quiet time', () => {
  fc.assert(
    fc.property(arrivals, settings, (moments, options) => {
      for (const { messages } of batchesOf(moments, options)) {
        for (const [index, atMs] of messages.slice(1).entries()) {
          expect(atMs - (messages[index] ?? 0)).toBeLessThan(Math.max(options.quietMs, 1))
        }
      }
    }),
  )
})

test('a batch is the same in whatever order its messages become known', () => {
  fc.assert(
    fc.property(arrivals, (moments) => {
      const inOrder = moments.reduce<Batch | undefined>(joinBatch, undefined)
      const reversed = moments.toReversed().reduce<Batch | undefined>(joinBatch, undefined)
      expect(reversed).toEqual(inOrder)
    }),
  )
})
