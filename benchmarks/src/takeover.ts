import { setTimeout as delay } from 'node:timers/promises'
import { readWatched, watchWrites } from '@frontdesk/gateway/test/system/support/watched-writes.ts'
import type { EmulatorControl } from 'whatsapp-emulator'
import { linkCompanions } from './support/companions.ts'
import { createDataDirectory, type DataDirectory, sessionHostsOf } from './support/data-directory.ts'
import { startEmulatorProcess } from './support/emulator-process.ts'
import { startGatewayProcess } from './support/gateway-process.ts'
import { progress, report } from './support/report.ts'
import { seedSessions } from './support/seed.ts'
import { round } from './support/statistics.ts'
import { openStore } from './support/store.ts'
import { until } from './support/until.ts'

export interface TakeoverOptions {
  /** Sessions of the session host that is killed; the other one has as many. */
  count: number
}

const FIRST_PHONE = 4_915_300_000_000
const NOTICING_MS = 300

/** How long the sessions of a session host are away that is killed, and whether anybody did what is not his to do. */
export async function takeover(resources: AsyncDisposableStack, { count }: TakeoverOptions): Promise<void> {
  const { control, info } = await startEmulatorProcess(resources)
  const directory = await createDataDirectory(resources)
  progress(`linking ${2 * count} sessions`)
  await seedSessions(directory, await linkCompanions(control, FIRST_PHONE, 2 * count))
  await withDatabase(directory, watchWrites)
  const gateway = await startGatewayProcess(resources, directory, info, { FRONTDESK_SESSION_HOSTS: '2' })
  const allOnline = async () => (await control.counters()).logins >= 2 * count
  await until('all sessions are online', allOnline, { everyMs: 100, timeoutMs: 600_000 })
  const before = await control.counters()

  const [pid] = sessionHostsOf(directory)
  if (pid === undefined) throw new Error('There is no session host.')
  progress(`all are online; killing session host ${pid}`)
  await control.resetStats()
  const killedAtMs = performance.now()
  process.kill(pid, 'SIGKILL')
  await until('its sessions are offline', async () => (await lostSessions(control)).size > 0)
  // All its sockets are closed in the same moment; the emulator hears of one after the other.
  await delay(NOTICING_MS)
  const lost = await lostSessions(control)
  progress(`${lost.size} sessions are offline`)
  await until('they are online again', async () => await areBack(control, lost), { everyMs: 100, timeoutMs: 600_000 })
  const secondsToAllOnline = (performance.now() - killedAtMs) / 1000
  const after = await control.counters()
  await gateway.stop()

  const { stale: staleWrites } = await withDatabase(directory, readWatched)
  const doubleSockets =
    after.replacedLogins - before.replacedLogins + after.framesAfterReplacement - before.framesAfterReplacement
  report(
    `Takeover: the sessions of a session host that was killed, ${lost.size} of ${2 * count}`,
    [
      ['', 'Frontdesk'],
      ['from the kill until all are online again, s', secondsToAllOnline.toFixed(1)],
      ['connections to the database that wrote for another owner', String(staleWrites)],
      ['connections to WhatsApp beside another one of the same session', String(doubleSockets)],
    ],
    ['The other session host takes them over at once; the killed one is started again meanwhile, and helps.'],
    {
      benchmark: 'takeover',
      count: lost.size,
      secondsToAllOnline: round(secondsToAllOnline, 2),
      staleWrites,
      doubleSockets,
    },
  )
}

/** Asks the database of a gateway that does not run. */
async function withDatabase<Answer>(directory: DataDirectory, ask: (url: string) => Promise<Answer>): Promise<Answer> {
  await using store = await openStore(directory)
  return await ask(store.database.url)
}

/** Those that have been offline since the statistics began. */
async function lostSessions(control: EmulatorControl): Promise<Set<string>> {
  const stats = await control.companionStats()
  return new Set(stats.filter(({ disconnectedMs }) => disconnectedMs > 0).map(({ jid }) => jid))
}

async function areBack(control: EmulatorControl, lost: ReadonlySet<string>): Promise<boolean> {
  const stats = await control.companionStats()
  return stats.every(({ jid, logins }) => logins > 0 || !lost.has(jid))
}
