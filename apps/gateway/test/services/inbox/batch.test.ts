import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type Batch,
  type BatchingSettings,
  batchClosesAtMs,
  batchOfOne,
  joinBatch,
  noteTyping,
} from '#src/services/inbox/batch.ts'

const settings = fc.record({
  quietMs: fc.nat(5000),
  maxMs: fc.nat(20_000),
  maxMessages: fc.integer({ min: 1, max: 50 }),
})
/** Moments of arrival, oldest first. */
const arrivals = fc.array(fc.nat(4000), { minLength: 1, maxLength: 40 }).map((gaps) => {
  let atMs = 0
  return gaps.map((gapMs) => (atMs += gapMs))
})

/** Runs a chat's messages through batching on a made-up clock: what arrives until a batch closes belongs to it. */
function batchesOf(momentsMs: number[], options: BatchingSettings) {
  const batches: { messages: number[]; closedAtMs: number }[] = []
  let batch: Batch | undefined
  let messages: number[] = []
  const close = () => {
    if (batch !== undefined) batches.push({ messages, closedAtMs: batchClosesAtMs(batch, options) })
    batch = undefined
    messages = []
  }
  for (const atMs of momentsMs) {
    if (batch !== undefined && batchClosesAtMs(batch, options) <= atMs) close()
    batch = joinBatch(batch, batchOfOne(atMs))
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

test('a batch closes after the quiet time, at the cap or when it is full, and never before its last message', () => {
  fc.assert(
    fc.property(arrivals, settings, (moments, options) => {
      for (const { messages, closedAtMs } of batchesOf(moments, options)) {
        const [first = 0] = messages
        const last = messages.at(-1) ?? 0
        expect(closedAtMs).toBeGreaterThanOrEqual(last)
        const isFull = messages.length >= options.maxMessages
        expect([isFull ? last : last + options.quietMs, first + options.maxMs]).toContain(closedAtMs)
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
      const inOrder = moments.map(batchOfOne).reduce<Batch | undefined>(joinBatch, undefined)
      const reversed = moments.toReversed().map(batchOfOne).reduce<Batch | undefined>(joinBatch, undefined)
      expect(reversed).toEqual(inOrder)
    }),
  )
})

test('a batch has at most as many messages as are allowed', () => {
  fc.assert(
    fc.property(arrivals, settings, (moments, options) => {
      // Of messages of the same instant none is answered before the other is known.
      const apart = [...new Set(moments)]
      for (const { messages } of batchesOf(apart, options))
        expect(messages.length).toBeLessThanOrEqual(options.maxMessages)
    }),
  )
})

test('writing puts the end of a batch off, never before and never past its cap; having stopped starts the quiet time', () => {
  fc.assert(
    fc.property(arrivals, settings, fc.nat(30_000), fc.boolean(), (moments, options, laterMs, isTyping) => {
      const batch = moments.map(batchOfOne).reduce<Batch | undefined>(joinBatch, undefined) ?? batchOfOne(0)
      const atMs = batch.lastAtMs + laterMs
      const closesAtMs = batchClosesAtMs(noteTyping(batch, isTyping, atMs), options)
      const capMs = batch.firstAtMs + options.maxMs
      expect(closesAtMs).toBeLessThanOrEqual(capMs)
      if (batch.count >= options.maxMessages) return
      expect(closesAtMs).toBeGreaterThanOrEqual(batchClosesAtMs(batch, options))
      if (!isTyping) expect(closesAtMs).toBe(Math.min(atMs + options.quietMs, capMs))
    }),
  )
})

type Happening =
  | { atMs: number; what: 'message' | 'writes' | 'stops' }
  | { atMs: number; what: 'restart'; downMs: number }
const happenings: fc.Arbitrary<Happening[]> = fc
  .array(
    fc.record({
      gapMs: fc.nat(4000),
      what: fc.constantFrom('message', 'message', 'message', 'writes', 'stops', 'restart'),
      downMs: fc.nat(10_000),
    }),
    { maxLength: 60 },
  )
  .map((steps) => {
    let atMs = 0
    return steps.map(({ gapMs, ...step }) => {
      atMs += gapMs
      return { ...step, atMs } as Happening
    })
  })

/** The life of a chat with a process that dies: what is in memory is lost, and built anew from the messages that wait. */
function lifeOf(happening: readonly Happening[], options: BatchingSettings) {
  const batches: { messages: number[]; lastStirMs: number; closedAtMs: number; downUntilMs: number }[] = []
  let batch: Batch | undefined
  let messages: number[] = []
  let lastStirMs = 0
  let downUntilMs = Number.NEGATIVE_INFINITY
  const closeBefore = (atMs: number) => {
    if (batch === undefined) return
    const closedAtMs = Math.max(batchClosesAtMs(batch, options), downUntilMs)
    if (closedAtMs > atMs) return
    batches.push({ messages, lastStirMs, closedAtMs, downUntilMs })
    batch = undefined
    messages = []
  }
  for (const each of happening) {
    closeBefore(each.atMs)
    const isDown = each.atMs < downUntilMs
    if (each.what === 'message') {
      messages.push(each.atMs)
      lastStirMs = each.atMs
      batch = joinBatch(batch, batchOfOne(each.atMs))
    } else if (each.what === 'restart') {
      downUntilMs = Math.max(downUntilMs, each.atMs + each.downMs)
      const [first] = messages
      // Nobody has seen the customer's strokes but the process that is gone.
      lastStirMs = messages.at(-1) ?? 0
      if (first !== undefined) batch = { count: messages.length, firstAtMs: first, lastAtMs: lastStirMs }
    } else if (batch !== undefined && !isDown) {
      batch = noteTyping(batch, each.what === 'writes', each.atMs)
      lastStirMs = each.atMs
    }
  }
  closeBefore(Number.POSITIVE_INFINITY)
  return batches
}

test('whatever is written, typed and restarted: each message once and in order, none before quiet, none after the cap', () => {
  fc.assert(
    fc.property(happenings, settings, (happening, options) => {
      const batches = lifeOf(happening, options)
      const written = happening.filter(({ what }) => what === 'message').map(({ atMs }) => atMs)
      expect(batches.flatMap(({ messages }) => messages)).toEqual(written)
      for (const { messages, lastStirMs, closedAtMs, downUntilMs } of batches) {
        const [first = 0] = messages
        const capMs = first + options.maxMs
        expect(closedAtMs).toBeLessThanOrEqual(Math.max(capMs, downUntilMs))
        const isFull = messages.length >= options.maxMessages
        const quietMs = lastStirMs + (isFull ? 0 : options.quietMs)
        expect(closedAtMs).toBeGreaterThanOrEqual(Math.min(quietMs, capMs))
      }
    }),
    { numRuns: 500 },
  )
})
