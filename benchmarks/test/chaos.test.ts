import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { downtimeMs } from '../src/chaos/downtime.ts'
import { firstOutOfOrder } from '../src/chaos/in-order.ts'
import { planKills } from '../src/chaos/kill-plan.ts'
import { planWeek } from '../src/chaos/week.ts'

const span = (fromMs: number, toMs: number) => ({ fromMs, toMs })

describe('downtime', () => {
  test('work counts as it is, waiting as long as it would have been', () => {
    expect(downtimeMs([span(0, 100)], [], [], 10)).toBe(100)
    expect(downtimeMs([span(0, 100)], [span(20, 50)], [], 10)).toBe(70 + 300)
  })

  test('what overlaps counts once, and what lies outside not at all', () => {
    expect(downtimeMs([span(0, 100)], [span(20, 50), span(40, 60), span(90, 200)], [], 10)).toBe(50 + 500)
    expect(downtimeMs([span(0, 10), span(50, 60)], [span(10, 50)], [], 10)).toBe(20)
  })

  test('nothing counts while WhatsApp lets nobody in, waiting neither', () => {
    expect(downtimeMs([span(0, 100)], [span(0, 100)], [span(10, 90)], 10)).toBe(200)
    expect(downtimeMs([span(20, 30)], [], [span(10, 90)], 10)).toBe(0)
  })
})

describe('a week', () => {
  const week = planWeek({ sessions: 10, durationMs: 60_000, seed: 7 })

  test('holds all that a session meets, and each disaster once, within its time', () => {
    expect(week).toHaveLength(10 * 17 + 3)
    expect(week.filter((each) => 'disaster' in each)).toHaveLength(3)
    for (const { atMs } of week) expect(atMs).toBeGreaterThanOrEqual(0)
    for (const { atMs } of week) expect(atMs).toBeLessThan(60_000)
    expect(week.map(({ atMs }) => atMs)).toEqual(week.map(({ atMs }) => atMs).toSorted((a, b) => a - b))
  })

  test('is the same for the same seed, and another for another', () => {
    expect(planWeek({ sessions: 10, durationMs: 60_000, seed: 7 })).toEqual(week)
    expect(planWeek({ sessions: 10, durationMs: 60_000, seed: 8 })).not.toEqual(week)
  })
})

describe('kills', () => {
  const kills = planKills({ rounds: 10, seed: 7 })

  test('of four in a row each has another victim', () => {
    expect(kills).toHaveLength(10)
    const all = ['database', 'everything', 'gateway', 'session_host']
    for (const from of [0, 4]) {
      expect(
        kills
          .slice(from, from + 4)
          .map(({ victim }) => victim)
          .toSorted(),
      ).toEqual(all)
    }
  })

  test('are the same for the same seed, and others for another', () => {
    expect(planKills({ rounds: 10, seed: 7 })).toEqual(kills)
    expect(planKills({ rounds: 10, seed: 8 })).not.toEqual(kills)
  })
})

test('what stands before something that it should follow is found', () => {
  expect(firstOutOfOrder(['a', 'b', 'c'], ['a', 'x', 'b', 'c'])).toBeUndefined()
  expect(firstOutOfOrder(['a', 'b', 'c'], ['c'])).toBeUndefined()
  expect(firstOutOfOrder(['a', 'b', 'c'], ['a', 'c', 'b'])).toBe('b after c')
})

/** The figures of a run: the last line of what it prints. */
async function chaos(options: string): Promise<{ figures: Record<string, number>; errors: string }> {
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
  const child = spawn(process.execPath, [main, 'chaos', ...options.split(' ')], { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'exit')
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)])
  expect((await ended)[0], errors).toBe(0)
  return { figures: JSON.parse(output.trimEnd().split('\n').at(-1) ?? ''), errors }
}

test('five kills under traffic: nothing is lost, nothing comes twice or in another order', async () => {
  const { figures, errors } = await chaos('--profile kill --rounds 5 --sessions 3 --per-second 6 --seed 1')
  const nothing = { lost: 0, duplicated: 0, outOfOrder: 0, undecryptable: 0, webhooksMissing: 0, violations: 0 }
  expect(figures, errors).toMatchObject({ ...nothing, rounds: 5, seed: 1 })
  expect(figures['messages']).toBeGreaterThan(50)
}, 400_000)

test('a week in a few seconds: everybody is online again in the end, nothing is lost and nothing comes twice', async () => {
  const { figures, errors } = await chaos('--sessions 5 --seconds 20 --factor 20 --seed 1')
  expect(figures, errors).toMatchObject({ lost: 0, duplicated: 0, undecryptable: 0, doubleSockets: 0, seed: 1 })
  expect(figures['uptimeP1']).toBeGreaterThan(0.99)
  expect(figures['reconnectsPerSessionWeek']).toBeGreaterThan(2)
}, 120_000)
