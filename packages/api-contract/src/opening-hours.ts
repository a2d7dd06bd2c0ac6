import { z } from 'zod'

export const timeOfDay = z
  .string()
  .regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/, 'must be a time such as 09:00')
  .meta({ examples: ['09:00'] })

const period = z
  .strictObject({
    from: timeOfDay,
    to: z
      .union([timeOfDay, z.literal('24:00')])
      .describe('Not included. A time that is not later than `from` is on the next day.'),
  })
  .meta({ examples: [{ from: '09:00', to: '18:00' }] })

const periods = z.array(period).max(10)
const ofWeekday = periods.optional()

export const timeZone = z
  .string()
  .max(64)
  .refine(isTimeZone, 'must be a time zone such as Europe/Berlin')
  .describe('A time zone of the IANA database.')
  .meta({ examples: ['Europe/Berlin'] })

/** When a company is there for its customers. */
export const openingHours = z
  .strictObject({
    timeZone,
    weekly: z
      .strictObject({
        monday: ofWeekday,
        tuesday: ofWeekday,
        wednesday: ofWeekday,
        thursday: ofWeekday,
        friday: ofWeekday,
        saturday: ofWeekday,
        sunday: ofWeekday,
      })
      .describe('For each weekday when it is open. On a weekday that is left out it is closed.'),
    exceptions: z
      .record(z.iso.date(), periods)
      .refine((dates) => Object.keys(dates).length <= 400, 'must be at most 400 dates')
      .optional()
      .describe('Dates with other hours than their weekday has. `[]`: closed.'),
  })
  .describe('By the clock on the wall: where it shows an hour twice, in autumn, both count.')
  .meta({
    id: 'OpeningHours',
    examples: [
      {
        timeZone: 'Europe/Berlin',
        weekly: { tuesday: [{ from: '09:00', to: '18:00' }], friday: [{ from: '09:00', to: '20:00' }] },
        exceptions: { '2026-12-25': [] },
      },
    ],
  })
export type OpeningHours = z.infer<typeof openingHours>

function isTimeZone(name: string): boolean {
  // An offset, such as +01:00, would know of no summer.
  if (!/^[A-Za-z]/.test(name)) return false
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    // This is how a name that is not known shows.
    return false
  }
}
