import fc from 'fast-check'
import { expect, test } from 'vitest'
import { holdsNul, isBlank, sanitizeName, sanitizeText } from '#src/model/text.ts'

test.each([
  ['keeps tab and newline', 'a\tb\nc', 'a\tb\nc'],
  ['makes all line ends newlines', 'a\r\nb\rc', 'a\nb\nc'],
  ['removes control characters', 'a\u0000\u0007\u001b[31mb\u007f\u0085c', 'a[31mbc'],
  ['removes what reorders text', 'pay \u202Eeno\u202C \u2066x\u2069', 'pay eno x'],
  ['keeps the marks of right-to-left languages', 'א\u200Fב\u200Eג', 'א\u200Fב\u200Eג'],
  ['keeps composed emoji', '👩🏽‍🔧 ❤️', '👩🏽‍🔧 ❤️'],
  ['replaces half a character', 'a\ud83d', 'a\ufffd'],
  ['leaves sixteen marks of a tower on a letter', `a${'\u0301'.repeat(5000)}b`, `a${'\u0301'.repeat(16)}b`],
  ['leaves no tower that was cut by what is removed', `a${'\u0301\u0007'.repeat(50)}`, `a${'\u0301'.repeat(16)}`],
  ['keeps what languages write with marks', 'שָׁלוֹם กี่ नि', 'שָׁלוֹם กี่ नि'],
])('sanitizing %s', (_, text, expected) => {
  expect(sanitizeText(text)).toBe(expected)
})

test('any text can be stored after sanitizing, and sanitizing again changes nothing', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const clean = sanitizeText(text)
      expect(holdsNul(clean)).toBe(false)
      expect(clean.isWellFormed()).toBe(true)
      expect(sanitizeText(clean)).toBe(clean)
    }),
  )
})

test('a text of which nothing can be seen is blank', () => {
  expect(['', ' \n\t', '\u200B\u200F', '\u2060 '].every(isBlank)).toBe(true)
  expect(['.', ' a ', '👍', 'ا'].some(isBlank)).toBe(false)
})

test.each([
  ['  Ada \n Lovelace\u202E ', 'Ada Lovelace'],
  ['\u0000\u0007', undefined],
  [' ', undefined],
  ['x'.repeat(5000), 'x'.repeat(200)],
])('a name is one line that cannot deceive', (name, expected) => {
  expect(sanitizeName(name)).toBe(expected)
})
