import { type OpeningHours, openingHours } from '@frontdesk/api-contract'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isOpen, nextOpening } from '#src/services/inbox/opening-hours.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS
const WEEKDAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'] as const
const NINE_TO_SIX = [{ from: '09:00', to: '18:00' }]
const OFFICE: OpeningHours = {
  timeZone: 'Europe/Berlin',
  weekly: Object.fromEntries(WEEKDAYS.slice(0, 5).map((weekday) => [weekday, NINE_TO_SIX])),
}
const always = (timeZone: string, from: string, to: string): OpeningHours => ({
  timeZone,
  weekly: Object.fromEntries(WEEKDAYS.map((weekday) => [weekday, [{ from, to }]])),
})
const next = (hours: OpeningHours, at: string) => nextOpening(hours, new Date(at))?.toISOString()

describe('a salon that is open from nine to six', () => {
  test.each([
    ['2026-11-20T07:59:59.999Z', false, '2026-11-20T08:00:00.000Z'],
    ['2026-11-20T08:00:00.000Z', true, '2026-11-20T08:00:00.000Z'],
    ['2026-11-20T16:59:59.999Z', true, '2026-11-20T16:59:59.999Z'],
    // A Friday: the next one is on Monday.
    ['2026-11-20T17:00:00.000Z', false, '2026-11-23T08:00:00.000Z'],
    // Over the change to summer time.
    ['2026-03-27T17:00:00.000Z', false, '2026-03-30T07:00:00.000Z'],
  ])('%s: open %s, next %s', (at, open, opens) => {
    expect(isOpen(OFFICE, new Date(at))).toBe(open)
    expect(next(OFFICE, at)).toBe(opens)
  })

  test('opens as often in a year as it has working days, each time at nine by its own clock', () => {
    const hours = { ...OFFICE, exceptions: { '2026-12-24': [{ from: '10:00', to: '12:00' }], '2026-12-25': [] } }
    const opened: string[] = []
    for (let atMs = Date.UTC(2026, 0, 1); ; atMs += 1) {
      const opens = nextOpening(hours, new Date(atMs))
      if (opens === undefined || opens.getTime() >= Date.UTC(2027, 0, 1)) break
      opened.push(opens.toLocaleTimeString('de-DE', { timeZone: 'Europe/Berlin' }))
      for (atMs = opens.getTime(); isOpen(hours, new Date(atMs)); atMs += MINUTE_MS);
    }
    // 261 weekdays, of which one is closed.
    expect(opened).toHaveLength(260)
    expect(opened.filter((time) => time !== '09:00:00')).toEqual(['10:00:00'])
  })
})

test('what crosses midnight belongs to the day on which it begins, also after a closed day and before one', () => {
  const bar: OpeningHours = {
    timeZone: 'UTC',
    weekly: { friday: [{ from: '20:00', to: '02:30' }] },
    exceptions: { '2026-11-28': [] },
  }
  expect(isOpen(bar, new Date('2026-11-28T02:29:00Z'))).toBe(true)
  expect(isOpen(bar, new Date('2026-11-28T02:30:00Z'))).toBe(false)
  expect(isOpen(bar, new Date('2026-11-27T02:00:00Z'))).toBe(false)
})

test('all day is without a gap, whichever way it is said', () => {
  for (const hours of [always('Europe/Berlin', '00:00', '24:00'), always('Europe/Berlin', '00:00', '00:00')]) {
    fc.assert(
      fc.property(fc.date({ noInvalidDate: true, min: new Date(0), max: new Date('2100-01-01') }), (at) => {
        expect(isOpen(hours, at)).toBe(true)
        expect(nextOpening(hours, at)).toEqual(at)
      }),
    )
  }
})

test('what never opens has no next opening; what opens on one day in a year is found', () => {
  expect(next({ timeZone: 'UTC', weekly: {} }, '2026-01-01T00:00:00Z')).toBeUndefined()
  const exceptions = { '2026-12-31': NINE_TO_SIX }
  expect(next({ timeZone: 'Asia/Tokyo', weekly: {}, exceptions }, '2026-01-01T00:00:00Z')).toBe(
    '2026-12-31T00:00:00.000Z',
  )
})

test.each([
  ['a gap at the opening: it opens when the clock has jumped over it', '02:30', '2026-03-29T01:00:00.000Z'],
  ['a gap before the opening', '03:00', '2026-03-29T01:00:00.000Z'],
  ['a gap after the opening', '01:30', '2026-03-29T00:30:00.000Z'],
])('in spring, %s', (_, from, opens) => {
  expect(next(always('Europe/Berlin', from, '05:00'), '2026-03-28T22:00:00Z')).toBe(opens)
})

test('in autumn an hour comes twice, and what is open in it is so twice', () => {
  const hours = always('Europe/Berlin', '02:00', '02:30')
  expect(next(hours, '2026-10-24T22:00:00Z')).toBe('2026-10-25T00:00:00.000Z')
  expect(next(hours, '2026-10-25T00:30:00Z')).toBe('2026-10-25T01:00:00.000Z')
  expect(next(hours, '2026-10-25T01:30:00Z')).toBe('2026-10-26T01:00:00.000Z')
})

/**
 * Zones with the changes of their clocks in or near 2026: an hour or half of one, at night or at midnight, on both
 * halves of the earth, for Ramadan, or never.
 */
const ZONES = {
  'Europe/Berlin': ['2026-03-29T01:00Z', '2026-10-25T01:00Z'],
  'America/New_York': ['2026-03-08T07:00Z', '2026-11-01T06:00Z'],
  'America/St_Johns': ['2026-03-08T05:30Z', '2026-11-01T04:30Z'],
  'America/Santiago': ['2026-04-05T03:00Z', '2026-09-06T04:00Z'],
  'Australia/Lord_Howe': ['2026-04-04T15:00Z', '2026-10-03T15:30Z'],
  'Pacific/Chatham': ['2026-04-04T14:00Z', '2026-09-26T14:00Z'],
  'Africa/Casablanca': ['2026-02-15T02:00Z', '2026-03-22T02:00Z'],
  'Asia/Kolkata': ['2026-06-01T00:00Z'],
}
const minuteOfDay = (minute: number) =>
  `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`
const time = fc.nat(1439).map(minuteOfDay)
const periods = fc.array(fc.record({ from: time, to: fc.oneof(time, fc.constant('24:00')) }), { maxLength: 3 })
/** Three days around a change of the clocks, and hours for them. */
const changes = fc.constantFrom(...Object.entries(ZONES)).chain(([timeZone, moments]) =>
  fc.record({
    at: fc
      .tuple(fc.constantFrom(...moments), fc.nat(2 * DAY_MS))
      .map(([moment, ms]) => new Date(Date.parse(moment) - ms)),
    hours: fc.record({
      timeZone: fc.constant(timeZone),
      weekly: fc.record(Object.fromEntries(WEEKDAYS.map((weekday) => [weekday, periods]))),
      exceptions: fc.constantFrom(...moments).chain((moment) => fc.record({ [moment.slice(0, 10)]: periods })),
    }),
  }),
)

/** What somebody finds who reads the clock and the calendar on the wall, and the list of hours on the door. */
function wallReader({ timeZone, weekly, exceptions = {} }: OpeningHours) {
  const clock = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'short' })
  const onDoor = (date: string) =>
    exceptions[date] ??
    weekly[new Date(date).toLocaleDateString('en', { weekday: 'long', timeZone: 'UTC' }).toLowerCase() as 'monday'] ??
    []
  const memory = new Map<string, { today: ReturnType<typeof onDoor>; yesterday: ReturnType<typeof onDoor> }>()
  return (atMs: number): boolean => {
    const [date = '', now = ''] = clock.format(atMs).split(' ')
    const known = memory.get(date) ?? {
      today: onDoor(date),
      yesterday: onDoor(new Date(Date.parse(date) - DAY_MS).toISOString().slice(0, 10)),
    }
    memory.set(date, known)
    return (
      known.today.some(({ from, to }) => from <= now && (now < to || to <= from)) ||
      known.yesterday.some(({ from, to }) => to <= from && now < to)
    )
  }
}

test('minute by minute it is what the clock on the wall says, over every change of the clocks', () => {
  fc.assert(
    fc.property(changes, ({ hours, at }) => {
      expect(openingHours.safeParse(hours).success).toBe(true)
      const reads = wallReader(hours)
      const firstMs = Math.floor(at.getTime() / MINUTE_MS) * MINUTE_MS
      const opens = nextOpening(hours, new Date(firstMs))?.getTime()
      let found: number | undefined
      for (let atMs = firstMs; atMs < firstMs + 3 * DAY_MS; atMs += MINUTE_MS) {
        const open = reads(atMs)
        if (open !== isOpen(hours, new Date(atMs))) expect(`open at ${new Date(atMs).toISOString()}`).toBe(open)
        if (open) found ??= atMs
      }
      if (found !== undefined) expect(opens).toBe(found)
      else expect(opens ?? Number.POSITIVE_INFINITY).toBeGreaterThanOrEqual(firstMs + 3 * DAY_MS)
    }),
    { numRuns: 40 },
  )
})

test.each([
  ['no such zone', { timeZone: 'Europe/Atlantis', weekly: {} }],
  ['an offset', { timeZone: '+01:00', weekly: {} }],
  ['no such time', { timeZone: 'UTC', weekly: { monday: [{ from: '24:00', to: '25:00' }] } }],
  ['no such date', { timeZone: 'UTC', weekly: {}, exceptions: { '2026-02-30': [] } }],
  ['no such weekday', { timeZone: 'UTC', weekly: { someday: [] } }],
])('%s is refused', (_, hours) => {
  expect(openingHours.safeParse(hours).success).toBe(false)
})
