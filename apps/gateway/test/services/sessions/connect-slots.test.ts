import { describe, expect, test } from 'vitest'
import { ConnectSlots } from '#src/services/sessions/connect-slots.ts'

const never = new AbortController().signal
const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('the budget for connecting', () => {
  test('lets so many connect at once, and the next one when one has', async () => {
    const slots = new ConnectSlots({ atOnce: 2, perSecond: 1000, burst: 100 })
    const [first] = await Promise.all([slots.take('usual', never), slots.take('usual', never)])
    let isThird = false
    const third = slots.take('usual', never).then(() => {
      isThird = true
    })
    await settled()
    expect(isThird).toBe(false)
    first?.()
    first?.()
    await third
    expect(isThird).toBe(true)
  })

  test('serves who links first, then who has messages waiting, then the others', async () => {
    const slots = new ConnectSlots({ atOnce: 1, perSecond: 1000, burst: 100 })
    const order: string[] = []
    const release = await slots.take('usual', never)
    const waiting = (['usual', 'messages_wait', 'linking', 'usual'] as const).map(async (priority) => {
      const done = await slots.take(priority, never)
      order.push(priority)
      done?.()
    })
    release?.()
    await Promise.all(waiting)
    expect(order).toEqual(['linking', 'messages_wait', 'usual', 'usual'])
  })

  test('begins no more connections than its pace allows, however fast they are', async () => {
    const slots = new ConnectSlots({ atOnce: 1000, perSecond: 200, burst: 10 })
    const beganAtMs = performance.now()
    await Promise.all(Array.from({ length: 50 }, async () => (await slots.take('usual', never))?.()))
    // 40 of them had to wait for one two-hundredth of a second each.
    expect(performance.now() - beganAtMs).toBeGreaterThan(190)
  })

  test('forgets who does not want to connect any more', async () => {
    const slots = new ConnectSlots({ atOnce: 1, perSecond: 1000, burst: 100 })
    const release = await slots.take('usual', never)
    const calledOff = new AbortController()
    const waiting = slots.take('linking', calledOff.signal)
    calledOff.abort()
    expect(await waiting).toBeUndefined()
    expect(await slots.take('linking', calledOff.signal)).toBeUndefined()
    const next = slots.take('usual', never)
    release?.()
    expect(await next).toBeTypeOf('function')
  })
})
