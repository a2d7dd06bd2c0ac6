import { expect, test } from 'vitest'
import { optOutWish } from '#src/services/outbox/opt-out-wish.ts'

const settings = { stopWords: ['STOP', 'Abmelden', 'no more'], startWords: ['START'] }

test.each([
  [['stop'], true],
  [[' Stop! '], true],
  [['ABMELDEN.'], true],
  [['No, more'], true],
  [['start'], false],
  [['hello', 'stop'], true],
  [['stop', 'sorry', 'start'], false],
  [['start', 'stop'], true],
  [['please stop calling me Ada'], undefined],
  [['bus stop'], undefined],
  [['!', ''], undefined],
  [[], undefined],
] as const)('%j', (texts, wish) => {
  expect(optOutWish(settings, texts)).toBe(wish)
})

test('without words nothing is meant by any', () => {
  expect(optOutWish({}, ['STOP', ''])).toBe(undefined)
})
