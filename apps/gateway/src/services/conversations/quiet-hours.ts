import type { OpeningHours, QuietHoursSettings } from '@frontdesk/api-contract'
import { isOpen, nextOpening } from '#src/services/inbox/opening-hours.ts'

const WEEKDAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'] as const

/** When the quiet hours end that last at this moment; undefined when none do. */
export function quietUntil({ timeZone, from, to }: QuietHoursSettings, at: Date): Date | undefined {
  const rest = [{ from: to, to: from }]
  const awake: OpeningHours = { timeZone, weekly: Object.fromEntries(WEEKDAYS.map((day) => [day, rest])) }
  return isOpen(awake, at) ? undefined : nextOpening(awake, at)
}
