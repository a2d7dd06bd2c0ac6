import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { PastMessage } from '#src/model/turn.ts'
import { isLoop } from '#src/services/conversations/loop.ts'

const start = Date.parse('2026-11-02T09:00:00Z')

/**
 * A conversation in which each answer of the bot is followed by a message after so many milliseconds. How many answers there
 * were when it counted as a loop; undefined when it never did.
 */
function loopAfter(
  replies: { text: string; afterMs: number }[],
  answer: (place: number) => string,
): number | undefined {
  const past: PastMessage[] = []
  let atMs = start
  for (const [place, { text, afterMs }] of replies.entries()) {
    atMs += afterMs
    if (isLoop(past, [text], new Date(atMs))) return place
    past.push({ from: 'customer', text, at: new Date(atMs) }, { from: 'bot', text: answer(place), at: new Date(atMs) })
  }
  return undefined
}

const answers = (place: number) => `Thank you, we will look into matter ${place} for you.`

describe('a program on the other side is noticed', () => {
  test('that says the same again and again', () => {
    const replies = Array.from({ length: 20 }, () => ({ text: 'We are closed. Please call.', afterMs: 20_000 }))
    expect(loopAfter(replies, answers)).toBe(6)
  })

  test('that sends our own answers back, whatever else it adds', () => {
    const replies = Array.from({ length: 20 }, (_, place) => ({ text: answers(place - 1), afterMs: 60_000 }))
    expect(loopAfter(replies, answers)).toBe(2)
  })

  test('that replies at once, with whatever text', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string(), fc.nat(4000)), { minLength: 12, maxLength: 12 }), (messages) => {
        const replies = messages.map(([text, afterMs], place) => ({ text: `${place} ${text}`, afterMs }))
        expect(loopAfter(replies, answers)).toBeLessThanOrEqual(10)
      }),
      { numRuns: 100 },
    )
  })
})

describe('no person is taken for one', () => {
  test('who reads before writing, however long the conversation and however impatient', () => {
    const message = fc.record({
      // A question is repeated at most a few times in a row.
      text: fc.constantFrom('hello?', 'how much?', 'ok', 'yes', 'no', '1', '2', 'thanks a lot', 'are you there?'),
      afterMs: fc.integer({ min: 5_001, max: 600_000 }),
    })
    const neverSix = (texts: { text: string }[]) =>
      texts.every(
        (_, place) =>
          new Set(texts.slice(place, place + 6).map(({ text }) => text)).size > 1 || place > texts.length - 6,
      )
    fc.assert(
      fc.property(fc.array(message, { maxLength: 60 }).filter(neverSix), (replies) => {
        expect(loopAfter(replies, answers)).toBe(undefined)
      }),
      { numRuns: 200 },
    )
  })

  test('who quotes an answer once', () => {
    const replies = [{ text: 'hi' }, { text: answers(0) }, { text: 'what does that mean?' }, { text: 'thank you' }]
    expect(
      loopAfter(
        replies.map(({ text }) => ({ text, afterMs: 30_000 })),
        answers,
      ),
    ).toBe(undefined)
  })

  test('who says the same each day', () => {
    const replies = Array.from({ length: 30 }, () => ({ text: 'good morning', afterMs: 24 * 3_600_000 }))
    expect(loopAfter(replies, answers)).toBe(undefined)
  })

  test('when somebody of the company has written in between', () => {
    const at = new Date(start)
    const loop = Array.from({ length: 20 }, (): PastMessage[] => [
      { from: 'customer', text: 'We are closed.', at },
      { from: 'bot', text: 'Thank you!', at },
    ]).flat()
    expect(isLoop(loop, ['We are closed.'], at)).toBe(true)
    expect(isLoop([...loop, { from: 'person', text: 'Are you a bot?', at }], ['We are closed.'], at)).toBe(false)
  })
})
