import { describe, expect, test } from 'vitest'
import { until } from '../support/until.ts'
import { Deployment, isAlive, NO_FAULTS } from './support/deployment.ts'

const PATIENCE = { timeoutMs: 90_000 }

describe.concurrent('several processes own the sessions of one database', () => {
  test('a session host is killed in a burst: the other takes its sessions over, it comes back and gets its share', async () => {
    await using deployment = await Deployment.open()
    const { emulator } = deployment
    const member = await deployment.start('--session-hosts', '2')
    await deployment.link(member, 6)
    const [first] = await deployment.shared(3, 3)
    const pid = await deployment.pidOf(member, first?.nodeId ?? '')
    await deployment.sendFromEach(member, 'before')

    await emulator.prepareBurst({ to: deployment.phones, customers: 2, each: 20 })
    const firing = emulator.fireBurst({ perSecond: 60 })
    await until(async () => (await deployment.messages(member)).some(({ direction }) => direction === 'inbound'))
    process.kill(pid, 'SIGKILL')
    await until(() => !isAlive(pid))
    await deployment.sendFromEach(member, 'meanwhile')
    await deployment.allOnline(member)
    await deployment.received(member, await firing)

    const shares = await deployment.shared(3, 3)
    expect(shares.map(({ nodeId }) => nodeId)).toContain(first?.nodeId)
    await deployment.allOnline(member)
    await deployment.sendFromEach(member, 'after')
    expect(await deployment.faults()).toEqual(NO_FAULTS)
    expect(await emulator.counters()).toMatchObject({ replacedLogins: 0 })

    // Nobody is left behind when the supervisor is killed as well.
    const pids = await Promise.all(shares.map(({ nodeId }) => deployment.pidOf(member, nodeId)))
    member.run.signal('SIGKILL')
    await until(() => pids.every((each) => !isAlive(each)), PATIENCE)
    await until(async () => (await emulator.counters()).connections === 0)
  }, 180_000)

  test('whoever is scanning a code when another process joins is not disturbed by it: settled sessions change hands', async () => {
    await using deployment = await Deployment.open()
    const here = await deployment.start()
    await deployment.link(here, 2)
    const codes = await deployment.showCodes(here, 2)
    const there = await deployment.start()
    await deployment.shared(2, 2)
    await deployment.scan(codes)
    await deployment.allOnline(there)
    await deployment.shared(2, 2)
    expect(await deployment.faults()).toEqual(NO_FAULTS)
  }, 180_000)

  test('a process that was stopped for longer than its leases last writes nothing when it goes on', async () => {
    await using deployment = await Deployment.open()
    const { emulator } = deployment
    const [here, there] = [await deployment.start(), await deployment.start()]
    await deployment.link(here, 4)
    await deployment.shared(2, 2)
    await deployment.sendFromEach(there, 'before')

    there.run.signal('SIGSTOP')
    await emulator.prepareBurst({ to: deployment.phones, customers: 2, each: 10 })
    const sent = await emulator.fireBurst()
    await deployment.shared(4)
    await deployment.allOnline(here)
    await deployment.sendFromEach(here, 'meanwhile')
    there.run.signal('SIGCONT')
    await until(() => there.run.errors().includes('owns no session any more'), PATIENCE)

    await deployment.shared(2, 2)
    await deployment.allOnline(there)
    await deployment.sendFromEach(there, 'after')
    await deployment.received(here, sent)
    expect(await deployment.faults()).toEqual(NO_FAULTS)
  }, 180_000)

  test('three session hosts whose database is away for longer than leases last: each goes on, with a new epoch', async () => {
    await using deployment = await Deployment.open()
    const { emulator, proxy } = deployment
    const member = await deployment.start('--session-hosts', '3')
    await deployment.link(member, 6)
    await deployment.shared(2, 2, 2)
    const leases = await deployment.leases()
    proxy.cut()
    // Each closes its sockets by itself: nobody can tell it whether another has its sessions.
    await until(async () => (await emulator.counters()).connections === 0, PATIENCE)
    await emulator.prepareBurst({ to: deployment.phones, customers: 2, each: 10 })
    const sent = await emulator.fireBurst()
    proxy.restore()
    await deployment.allOnline(member)
    await deployment.received(member, sent)
    await deployment.sendFromEach(member, 'after')
    await deployment.shared(2, 2, 2)
    const epochs = new Map((await deployment.leases()).map(({ sessionId, epoch }) => [sessionId, epoch]))
    for (const { sessionId, epoch } of leases) expect(epochs.get(sessionId)).toBeGreaterThan(epoch)
    expect(await deployment.faults()).toEqual(NO_FAULTS)
  }, 180_000)
})
