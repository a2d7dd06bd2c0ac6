import { validate, version } from 'uuid'
import { afterEach, expect, test, vi } from 'vitest'
import { firstIdAt, newId } from '#src/model/ids.ts'

afterEach(() => vi.useRealTimers())

const many = () => Array.from({ length: 5_000 }, newId)

test('an id is a UUID v7 that no other is, and says when it was made', () => {
  const before = new Date()
  const ids = many()
  expect(ids.every((id) => validate(id) && version(id) === 7)).toBe(true)
  expect(new Set(ids).size).toBe(ids.length)
  expect(ids.every((id) => id > firstIdAt(before) && id < firstIdAt(new Date(Date.now() + 1)))).toBe(true)
})

test('ids sort in the order of their making, also within a millisecond and when the clock goes back', () => {
  vi.useFakeTimers({ now: Date.now() + 1_000 })
  const ids = many()
  vi.setSystemTime(Date.now() - 60_000)
  ids.push(...many())
  expect(ids.toSorted()).toEqual(ids)
})
