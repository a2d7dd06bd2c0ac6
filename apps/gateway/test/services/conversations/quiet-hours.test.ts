import { expect, test } from 'vitest'
import { quietUntil } from '#src/services/conversations/quiet-hours.ts'

const night = { timeZone: 'Europe/Berlin', from: '22:00', to: '08:00' }

test.each([
  ['before they begin', '2026-11-02T20:59:59Z', undefined],
  ['as they begin', '2026-11-02T21:00:00Z', '2026-11-03T07:00:00.000Z'],
  ['after midnight', '2026-11-03T02:00:00Z', '2026-11-03T07:00:00.000Z'],
  ['as they end', '2026-11-03T07:00:00Z', undefined],
  ['in the night in which clocks are set back', '2026-10-24T21:00:00Z', '2026-10-25T07:00:00.000Z'],
  ['in the night in which clocks are set forward', '2026-03-28T22:00:00Z', '2026-03-29T06:00:00.000Z'],
])('%s', (_, at, until) => {
  expect(quietUntil(night, new Date(at))?.toISOString()).toBe(until)
})

test('they can be within one day', () => {
  const lunch = { timeZone: 'Asia/Kolkata', from: '13:00', to: '14:00' }
  expect(quietUntil(lunch, new Date('2026-11-02T07:45:00Z'))?.toISOString()).toBe('2026-11-02T08:30:00.000Z')
  expect(quietUntil(lunch, new Date('2026-11-02T08:30:00Z'))).toBe(undefined)
})
