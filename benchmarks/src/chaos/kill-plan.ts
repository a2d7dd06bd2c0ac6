import { randomFrom } from './random.ts'

/** What is killed: the process that people start, one of its two session hosts, its database server, or all of them. */
export type Victim = 'gateway' | 'session_host' | 'database' | 'everything'

export interface Kill {
  victim: Victim
  /** How long after all was well again. */
  afterMs: number
  /** Which session host, as a share of them. */
  which: number
}

const VICTIMS: readonly Victim[] = ['gateway', 'session_host', 'database', 'everything']
const MAX_AFTER_MS = 2000

/** One kill a round, by the seed. Of four rounds in a row from the first on, each has another victim. */
export function planKills({ rounds, seed }: { rounds: number; seed: number }): Kill[] {
  const random = randomFrom(seed)
  const kills: Kill[] = []
  while (kills.length < rounds) {
    const order = VICTIMS.map((victim) => ({ victim, place: random() })).toSorted((a, b) => a.place - b.place)
    for (const { victim } of order) kills.push({ victim, afterMs: random() * MAX_AFTER_MS, which: random() })
  }
  return kills.slice(0, rounds)
}
