import { expect, test } from 'vitest'
import type { CompanionStats, Emulator, LoginFailure } from '../src/index.ts'
import { startEmulator } from '../src/index.ts'
import { BaileysClient, linkBaileys, provisionBaileys } from './support/baileys-client.ts'
import { BAKERY, SALON } from './support/numbers.ts'
import { until } from './support/until.ts'

const REASONS: LoginFailure[] = ['401', '402', '403', '405', '406', '411', '500', '503']

test('a login of one number fails for each reason once, and the next one works', async () => {
  await using emulator = await startEmulator()
  using salon = await provisionBaileys(emulator, SALON)
  using bakery = await provisionBaileys(emulator, BAKERY)
  await salon.end()

  for (const reason of REASONS) {
    await emulator.fault({ kind: 'refuse_logins', phone: SALON, isOn: true, reason, count: 1 })
    using refused = new BaileysClient(emulator, salon.store)
    expect(await refused.closed()).toBe(Number(reason))
    using again = await new BaileysClient(emulator, salon.store).opened()
    await again.end()
  }
  await bakery.end()
  await emulator.fault({ kind: 'refuse_logins', phone: SALON, isOn: true, reason: '503' })
  using other = await new BaileysClient(emulator, bakery.store).opened()
  expect(other.isOpen).toBe(true)
})

test('all logins fail while that is on, those of companions that want to be linked too', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  await emulator.fault({ kind: 'refuse_logins', isOn: true, reason: '503' })
  expect(salon.closeCode).toBeUndefined()
  await salon.end()

  for (const store of [salon.store, salon.store, undefined]) {
    using refused = new BaileysClient(emulator, store)
    expect(await refused.closed()).toBe(503)
  }
  await emulator.fault({ kind: 'refuse_logins', isOn: false })
  using accepted = await new BaileysClient(emulator, salon.store).opened()
  expect(accepted.isOpen).toBe(true)
})

test('a temporary ban says when it ends, and ends then', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  await salon.end()
  await emulator.fault({ kind: 'refuse_logins', phone: SALON, isOn: true, reason: '402', banSeconds: 1 })

  using banned = new BaileysClient(emulator, salon.store)
  expect(await banned.closed()).toBe(402)
  expect(banned.closeData).toMatchObject({ reason: '402', code: '101', expire: '1' })
  await until('the ban was over', async () => {
    using again = new BaileysClient(emulator, salon.store)
    await until('it was decided', () => again.isOpen || again.closeCode !== undefined)
    return again.isOpen
  })
})

test('a client of an old version is refused as outdated, linked or not', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON, { version: [2, 3000, 5] })
  await salon.end()
  await emulator.configure({ oldestVersion: [2, 3000, 6] })

  for (const store of [salon.store, undefined]) {
    using outdated = new BaileysClient(emulator, store, { version: [2, 3000, 5] })
    expect(await outdated.closed()).toBe(405)
  }
  using current = await new BaileysClient(emulator, salon.store, { version: [2, 3001, 0] }).opened()
  expect(current.isOpen).toBe(true)
})

test('a second connection of a companion is counted, and what the first still sends', async () => {
  await using emulator = await startEmulator()
  using first = await linkBaileys(emulator, SALON)
  expect(await emulator.counters()).toMatchObject({ replacedLogins: 0, framesAfterReplacement: 0 })
  emulator.on('login', () => void first.socket.sendNode({ tag: 'presence', attrs: { type: 'available' } }))

  using second = await new BaileysClient(emulator, first.store).opened()

  expect(await first.closed()).toBe(440)
  expect(second.isOpen).toBe(true)
  await until('the frame was counted', async () => (await emulator.counters()).framesAfterReplacement === 1)
  expect((await emulator.counters()).replacedLogins).toBe(1)
})

test('a companion that comes back after a stall has no second connection', async () => {
  await using emulator = await startEmulator()
  using stalled = await linkBaileys(emulator, SALON)
  await emulator.fault({ kind: 'stall', phone: SALON })

  using again = await new BaileysClient(emulator, stalled.store).opened()

  expect(again.isOpen).toBe(true)
  expect((await emulator.counters()).replacedLogins).toBe(0)
})

test('the time that a companion is connected is told from that in which it is not, or cannot be', async () => {
  await using emulator = await startEmulator()
  using bakery = await provisionBaileys(emulator, BAKERY)
  using salon = await provisionBaileys(emulator, SALON)
  await emulator.resetStats()
  expect(await growing(emulator, SALON)).toEqual(['connectedMs'])

  await emulator.fault({ kind: 'stall', phone: SALON })
  expect(await growing(emulator, SALON)).toEqual(['disconnectedMs'])
  await emulator.fault({ kind: 'drop', phone: SALON })
  await salon.closed()
  expect(await growing(emulator, SALON)).toEqual(['disconnectedMs'])
  await emulator.fault({ kind: 'refuse_logins', phone: SALON, isOn: true, reason: '503' })
  expect(await growing(emulator, SALON)).toEqual(['refusedMs'])
  await emulator.fault({ kind: 'refuse_logins', phone: SALON, isOn: false })
  await emulator.fault({ kind: 'refuse_connections', isOn: true })
  expect(await growing(emulator, SALON)).toEqual(['refusedMs'])
  expect(await growing(emulator, BAKERY)).toEqual(['connectedMs'])
  await emulator.fault({ kind: 'refuse_connections', isOn: false })
  using again = await new BaileysClient(emulator, salon.store).opened()
  expect(await growing(emulator, SALON)).toEqual(['connectedMs'])

  expect([bakery.isOpen, again.isOpen]).toEqual([true, true])
  expect(await emulator.companionStats()).toMatchObject([
    { phone: BAKERY, logins: 0, disconnectedMs: 0, refusedMs: 0 },
    { phone: SALON, logins: 1 },
  ])
})

/** Which of a companion's times run on. */
async function growing(emulator: Emulator, phone: string): Promise<string[]> {
  const times = ({ connectedMs, disconnectedMs, refusedMs }: CompanionStats) => ({
    connectedMs,
    disconnectedMs,
    refusedMs,
  })
  const read = async () => {
    const [stats] = await emulator.companionStats({ phone })
    if (!stats) throw new Error(`${phone} has no companion`)
    return Object.entries(times(stats))
  }
  const before = new Map(await read())
  return until('time passed', async () => {
    const grown = (await read()).filter(([name, ms]) => ms > (before.get(name) ?? 0))
    return grown.length > 0 ? grown.map(([name]) => name) : undefined
  })
}
