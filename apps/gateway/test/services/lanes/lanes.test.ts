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

test('order per key and the bounds hold for any mix of work', async () => {
  const step = fc.record({ group: fc.constantFrom('a', 'b', 'c'), key: fc.constantFrom('x', 'y', 'z') })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.infiniteStream(fc.nat()), async (steps, choices) => {
      const { add, finish, started, inWork, lanes } = setUp({ concurrency: 4, concurrencyPerGroup: 2 })
      for (const { group, key } of steps) add(group, key)
      await settle()
      while (inWork.size > 0) {
        expect(inWork.size).toBeLessThanOrEqual(4)
        for (const group of ['a', 'b', 'c']) {
          expect([...inWork.keys()].filter((item) => item.group === group).length).toBeLessThanOrEqual(2)
        }
        const choice = [...inWork.keys()][(choices.next().value ?? 0) % inWork.size]
        await finish(choice?.number ?? 0)
      }
      expect(started.length).toBe(steps.length)
      const lastOf = new Map<string, number>()
      for (const { group, key, number } of started) {
        expect(number).toBeGreaterThan(lastOf.get(group + key) ?? 0)
        lastOf.set(group + key, number)
      }
      await lanes.idle()
      expect(lanes.running).toBe(0)
    }),
    { numRuns: 50 },
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
