import type { OpeningHours } from '@frontdesk/api-contract'
import { LRUCache } from 'lru-cache'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
/** What opens later than this is taken to open never. */
const FORESIGHT_MS = 400 * DAY_MS
const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const

/** A stretch of time as the clock on the wall shows it: milliseconds as if it were a clock of UTC. */
interface Stretch {
  fromMs: number
  toMs: number
}

/** Whether the clock on the company's wall shows a time at which it is open. */
export function isOpen(hours: OpeningHours, at: Date): boolean {
  const wallMs = at.getTime() + offsetMs(hours.timeZone, at.getTime())
  return nextOnWall(hours, wallMs) === wallMs
}

/** The first moment from `at` on at which it is open: `at` itself, if it is then. Undefined: not within a year. */
export function nextOpening(hours: OpeningHours, at: Date): Date | undefined {
  const { timeZone } = hours
  for (let fromMs = at.getTime(); fromMs < at.getTime() + FORESIGHT_MS; ) {
    const aheadMs = offsetMs(timeZone, fromMs)
    const untilMs = runsEvenlyUntil(timeZone, fromMs)
    const opensMs = nextOnWall(hours, fromMs + aheadMs) - aheadMs
    if (opensMs < untilMs) return new Date(opensMs)
    fromMs = untilMs
  }
  return undefined
}

/** The first time from this one on at which it is open, by a clock that is never set; infinity if that is not within a day. */
function nextOnWall(hours: OpeningHours, wallMs: number): number {
  const todayMs = Math.floor(wallMs / DAY_MS) * DAY_MS
  return [todayMs - DAY_MS, todayMs, todayMs + DAY_MS]
    .flatMap((dayMs) => stretchesOf(hours, dayMs))
    .filter(({ toMs }) => toMs > wallMs)
    .reduce((first, { fromMs }) => Math.min(first, Math.max(fromMs, wallMs)), Number.POSITIVE_INFINITY)
}

/** What begins on a day, given by its midnight. */
function stretchesOf({ weekly, exceptions }: OpeningHours, dayMs: number): Stretch[] {
  const day = new Date(dayMs)
  const weekday = WEEKDAYS[day.getUTCDay()] ?? 'sunday'
  const periods = exceptions?.[day.toISOString().slice(0, 10)] ?? weekly[weekday] ?? []
  return periods.map(({ from, to }) => {
    const [fromMs, toMs] = [dayMs + timeMs(from), dayMs + timeMs(to)]
    return { fromMs, toMs: toMs > fromMs ? toMs : toMs + DAY_MS }
  })
}

/** Since midnight. */
const timeMs = (time: string): number => Number(time.slice(0, 2)) * HOUR_MS + Number(time.slice(3)) * MINUTE_MS

/** The moment at which the clocks of the zone are set next, or a day later if that is earlier. */
function runsEvenlyUntil(timeZone: string, atMs: number): number {
  const before = offsetMs(timeZone, atMs)
  let [sameMs, otherMs] = [atMs, atMs + DAY_MS]
  if (offsetMs(timeZone, otherMs) === before) return otherMs
  while (otherMs - sameMs > 1) {
    const middleMs = Math.floor((sameMs + otherMs) / 2)
    if (offsetMs(timeZone, middleMs) === before) sameMs = middleMs
    else otherMs = middleMs
  }
  return otherMs
}

/** Making one takes longer than using it a hundred times. */
const formats = new LRUCache<string, Intl.DateTimeFormat>({ max: 100 })

/** How far the clocks of the zone are ahead of UTC. */
function offsetMs(timeZone: string, atMs: number): number {
  let format = formats.get(timeZone)
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' })
    formats.set(timeZone, format)
  }
  // "GMT", or such as "GMT-03:30".
  const [, sign, hours = 0, minutes = 0, seconds = 0] =
    /GMT([+-])(\d\d):(\d\d)(?::(\d\d))?/.exec(format.format(atMs)) ?? []
  const aheadMs = Number(hours) * HOUR_MS + Number(minutes) * MINUTE_MS + Number(seconds) * 1000
  return sign === '-' ? -aheadMs : aheadMs
}
