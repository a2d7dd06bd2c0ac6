import { randomFrom } from './random.ts'

/** What happens to one session, each at its moment. */
export type Mishap =
  | { kind: 'drop' | 'stall' | 'corrupt_frame' | 'lost_acks' }
  | { kind: 'stream_error'; code: '440' | '503' | '515' }

/** What happens to all at once. */
export type Disaster = 'whatsapp_restart' | 'network_outage' | 'deployment'

export type Happening = { atMs: number } & ({ session: number; mishap: Mishap } | { disaster: Disaster })

/** What a session meets in a week. */
const MISHAPS: readonly (readonly [count: number, mishap: Mishap])[] = [
  [7, { kind: 'drop' }],
  [3, { kind: 'stream_error', code: '503' }],
  [2, { kind: 'stream_error', code: '515' }],
  [2, { kind: 'stall' }],
  [1, { kind: 'stream_error', code: '440' }],
  [1, { kind: 'corrupt_frame' }],
  [1, { kind: 'lost_acks' }],
]

/** Where in the week the disasters are, as shares of it: apart, so that each is met by sessions that are online. */
const DISASTERS: readonly (readonly [share: number, disaster: Disaster])[] = [
  [0.25, 'whatsapp_restart'],
  [0.5, 'network_outage'],
  [0.8, 'deployment'],
]

/** A week of trouble in so many milliseconds, by the seed: in the order in which it happens. */
export function planWeek({
  sessions,
  durationMs,
  seed,
}: {
  sessions: number
  durationMs: number
  seed: number
}): Happening[] {
  const random = randomFrom(seed)
  const happenings: Happening[] = DISASTERS.map(([share, disaster]) => ({ atMs: share * durationMs, disaster }))
  for (let session = 0; session < sessions; session++) {
    for (const [count, mishap] of MISHAPS)
      for (let n = 0; n < count; n++) happenings.push({ atMs: random() * durationMs, session, mishap })
  }
  return happenings.toSorted((a, b) => a.atMs - b.atMs)
}
