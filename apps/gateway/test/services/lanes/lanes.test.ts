import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type LaneOutcome, Lanes } from '#src/services/lanes/lanes.ts'

interface Item {
  group: string
  key: string
  number: number
}

/** Lanes whose items are finished by hand. */
function setUp(limits: { concurrency?: number; concurrencyPerGroup?: number } = {}) {
  const started: Item[] = []
  const errors: unknown[] = []
  const inWork = new Map<Item, (outcome: LaneOutcome | Error) => void>()
  const lanes = new Lanes<Item>({
    concurrency: limits.concurrency ?? 100,
    concurrencyPerGroup: limits.concurrencyPerGroup ?? 100,
    process: (item) => {
      started.push(item)
      return new Promise((resolve, reject) => {
        inWork.set(item, (outcome) => {
          inWork.delete(item)
          if (outcome instanceof Error) reject(outcome)
          else resolve(outcome)
        })
      })
    },
    onError: (error) => errors.push(error),
  })
  let count = 0
  return {
    lanes,
    started,
    errors,
    inWork,
    add: (group: string, key: string) => {
      count += 1
      lanes.add(group, key, { group, key, number: count })
    },
    /** Ends an item's work and lets what follows from it begin. */
    finish: async (number: number, outcome: LaneOutcome | Error = 'done') => {
      const item = [...inWork.keys()].find((each) => each.number === number)
      if (item === undefined) throw new Error(`Item ${number} is not in work.`)
      inWork.get(item)?.(outcome)
      await settle()
    },
    numbers: () => started.map(({ number }) => number),
  }
}

const settle = () => new Promise((resolve) => setImmediate(resolve))

test('one key works one after the other, other keys in parallel', async () => {
  const { add, finish, numbers } = setUp()
  add('a', 'x')
  add('a', 'x')
  add('a', 'y')
  await settle()
  expect(numbers()).toEqual([1, 3])
  await finish(1)
  expect(numbers()).toEqual([1, 3, 2])
})

test('never more at once than allowed, altogether and per group; groups take turns', async () => {
  const { add, finish, numbers } = setUp({ concurrency: 3, concurrencyPerGroup: 2 })
  for (const key of ['1', '2', '3', '4']) add('a', key)
  for (const key of ['1', '2']) add('b', key)
  await settle()
  // Of the three places, group a may have two.
  expect(numbers()).toEqual([1, 2, 5])
  await finish(1)
  // Both groups have room now: b has waited longer.
  expect(numbers().at(-1)).toBe(6)
})

/**
 * Tells of each lane that could have worked and was passed over, by whom: by which other lanes of its group since it
 * could work, and by which other groups since its own last had a turn.
 */
class Fairness {
  readonly #passedOver = new Map<string, { group: string; byLanes: string[]; byGroups: string[] }>()

  /** Lanes with an item, of which none is in work or waits for its next try. */
  ready(lanes: readonly { group: string; key: string }[]): void {
    const names = new Set(lanes.map(({ group, key }) => group + key))
    for (const name of this.#passedOver.keys()) if (!names.has(name)) this.#passedOver.delete(name)
    for (const { group, key } of lanes) {
      if (!this.#passedOver.has(group + key)) this.#passedOver.set(group + key, { group, byLanes: [], byGroups: [] })
    }
  }

  started({ group, key }: Item, hasRoom: (group: string) => boolean): void {
    this.#passedOver.delete(group + key)
    for (const lane of this.#passedOver.values()) {
      if (lane.group === group) {
        lane.byLanes.push(key)
        lane.byGroups = []
      } else if (hasRoom(lane.group)) {
        lane.byGroups.push(group)
      }
    }
  }

  /** Lanes of the same group, and groups, take turns: none goes twice while another waits. */
  expectTurns(): void {
    for (const { byLanes, byGroups } of this.#passedOver.values()) {
      expect(new Set(byLanes).size).toBe(byLanes.length)
      expect(new Set(byGroups).size).toBe(byGroups.length)
    }
  }
}

test('for any mix of work, failures and further tries: order per key, the bounds, and turns', async () => {
  const step = fc.record({ group: fc.constantFrom('a', 'b', 'c'), key: fc.constantFrom('x', 'y', 'z') })
  const outcome = fc.oneof(
    { weight: 4, arbitrary: fc.constant<LaneOutcome>('done') },
    { weight: 1, arbitrary: fc.constant(new Error('broken')) },
    { weight: 1, arbitrary: fc.constant<LaneOutcome>({ againInMs: 60_000 }) },
  )
  const choice = fc.record({ pick: fc.nat(), outcome, hurries: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.infiniteStream(choice), async (steps, choices) => {
      const { add, finish, started, errors, inWork, lanes } = setUp({ concurrency: 4, concurrencyPerGroup: 2 })
      const inGroup = (name: string) => [...inWork.keys()].filter(({ group }) => group === name).length
      // The model: what waits in each lane, oldest first, and which lanes wait for another try.
      const waiting = new Map<string, Item[]>()
      const resting = new Set<string>()
      const fairness = new Fairness()
      let seen = 0
      let failed = 0
      const check = () => {
        expect(inWork.size).toBeLessThanOrEqual(4)
        for (const group of ['a', 'b', 'c']) expect(inGroup(group)).toBeLessThanOrEqual(2)
        for (const item of started.slice(seen)) {
          const lane = item.group + item.key
          expect(waiting.get(lane)?.[0]?.number).toBe(item.number)
          expect(resting.has(lane)).toBe(false)
          fairness.started(item, (group) => inGroup(group) < 2)
        }
        seen = started.length
        fairness.expectTurns()
        const busy = new Set([...inWork.keys()].map(({ group, key }) => group + key))
        expect(busy.size).toBe(inWork.size)
        const ready = [...waiting.values()]
          .flatMap(([first]) => (first === undefined ? [] : [first]))
          .filter(({ group, key }) => !busy.has(group + key) && !resting.has(group + key))
        fairness.ready(ready)
        // Nothing that could be done is left.
        if (inWork.size < 4) for (const { group } of ready) expect(inGroup(group)).toBe(2)
      }
      for (const [index, { group, key }] of steps.entries()) {
        add(group, key)
        waiting.set(group + key, [...(waiting.get(group + key) ?? []), { group, key, number: index + 1 }])
        await settle()
        check()
      }
      while (inWork.size > 0 || resting.size > 0) {
        const { pick, outcome, hurries } = choices.next().value
        const item = [...inWork.keys()][pick % Math.max(1, inWork.size)]
        if (item === undefined || hurries) {
          resting.clear()
          for (const group of ['a', 'b', 'c']) lanes.hurry(group)
          await settle()
        } else {
          const lane = item.group + item.key
          if (typeof outcome === 'object' && 'againInMs' in outcome) resting.add(lane)
          else waiting.get(lane)?.shift()
          if (outcome instanceof Error) failed += 1
          await finish(item.number, outcome)
        }
        check()
      }
      expect([...waiting.values()].flat()).toEqual([])
      expect(errors).toHaveLength(failed)
      await lanes.idle()
      expect(lanes.running).toBe(0)
    }),
    { numRuns: 60 },
  )
})

test('an item that is to be tried again keeps its place, and gives its room to others meanwhile', async () => {
  const { add, finish, numbers, lanes } = setUp({ concurrency: 1 })
  add('a', 'x')
  add('a', 'x')
  add('a', 'y')
  await settle()
  await finish(1, { againInMs: 60_000 })
  expect(numbers()).toEqual([1, 3])
  await finish(3)
  lanes.hurry('a')
  await settle()
  expect(numbers()).toEqual([1, 3, 1])
  await finish(1)
  expect(numbers()).toEqual([1, 3, 1, 2])
})

test('a waiting lane goes on by itself', async () => {
  const { add, finish, started } = setUp()
  add('a', 'x')
  await settle()
  await finish(1, { againInMs: 1 })
  await expect.poll(() => started.length).toBe(2)
})

test('dropping forgets what is not in work, and the lane can be used again', async () => {
  const { add, finish, numbers, lanes } = setUp()
  add('a', 'x')
  add('a', 'x')
  add('b', 'x')
  await settle()
  lanes.drop('a')
  add('a', 'x')
  await finish(1)
  expect(numbers()).toEqual([1, 3, 4])
  await finish(3)
  await finish(4)
  await lanes.idle()
  expect(lanes.lanesOf('a')).toBe(0)
})

test('an item that fails is reported and the lane goes on', async () => {
  const { add, finish, numbers, errors } = setUp()
  add('a', 'x')
  add('a', 'x')
  await settle()
  await finish(1, new Error('broken'))
  expect(errors).toEqual([new Error('broken')])
  expect(numbers()).toEqual([1, 2])
})

test('a group whose item is in work for too long is told, while it lasts', async () => {
  const { lanes, add, finish } = setUp()
  add('a', 'x')
  add('b', 'x')
  await settle()
  expect([...lanes.stuckGroups(60_000)]).toEqual([])
  expect([...lanes.stuckGroups(0)].toSorted()).toEqual(['a', 'b'])
  await finish(1)
  expect([...lanes.stuckGroups(0)]).toEqual(['b'])
})
