import { expect, test } from 'vitest'
import { dropOldest } from '../src/books/drop-oldest.ts'
import { Ring } from '../src/books/ring.ts'
import { WireBook } from '../src/books/wire-book.ts'

const WIRE_BOOK_CAPACITY = 20_000

test('a ring keeps the newest values, oldest first, and says what it dropped', () => {
  const ring = new Ring<number>(3)

  expect([1, 2, 3, 4, 5].map((value) => ring.push(value))).toEqual([undefined, undefined, undefined, 1, 2])
  expect([...ring]).toEqual([3, 4, 5])
  expect([ring.at(-1), ring.at(0), ring.at(2), ring.at(3)]).toEqual([undefined, 3, 5, undefined])
})

test('the oldest entry of a map or a set is dropped, and nothing of an empty one', () => {
  const map = new Map([
    ['a', 1],
    ['b', 2],
  ])
  const set = new Set(['a', 'b'])

  for (const collection of [map, set, new Set<string>()]) dropOldest(collection)

  expect([...map.keys(), ...set]).toEqual(['b', 'b'])
})

test('the wire book is bounded, and its numbers go on', () => {
  const book = new WireBook()
  for (let index = 0; index < WIRE_BOOK_CAPACITY + 10; index++)
    book.add('to_companion', 'someone', { tag: 'ib', attrs: { index: String(index) } })

  const entries = book.read({ limit: 2 * WIRE_BOOK_CAPACITY })

  expect(entries).toHaveLength(WIRE_BOOK_CAPACITY)
  expect(entries[0]).toMatchObject({ number: 11, attrs: { index: '10' } })
  expect(book.read({ after: 3, limit: 1 })[0]?.number).toBe(11)
  expect(book.read({ after: WIRE_BOOK_CAPACITY + 10 })).toEqual([])
})

test('the wire book names the ciphertexts of a message, wherever they stand in it', () => {
  const book = new WireBook()
  const enc = (type: string) => ({ tag: 'enc', attrs: { type } })
  const to = (type: string) => ({ tag: 'to', attrs: {}, content: [enc(type)] })
  const participants = { tag: 'participants', attrs: {}, content: [to('pkmsg'), to('msg')] }

  book.add('from_companion', 'someone', { tag: 'message', attrs: {}, content: [participants] })
  book.add('to_companion', 'someone', { tag: 'message', attrs: {}, content: [enc('msg')] })
  book.add('to_companion', 'someone', { tag: 'receipt', attrs: {} })

  expect(book.read().map(({ ciphertexts }) => ciphertexts)).toEqual([['pkmsg', 'msg'], ['msg'], undefined])
})
