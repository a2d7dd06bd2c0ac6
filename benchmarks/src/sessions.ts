import { setTimeout as delay } from 'node:timers/promises'
import type { EmulatorControl } from 'whatsapp-emulator'
import { alternate, medians } from './support/alternate.ts'
import { linkCompanions } from './support/companions.ts'
import { createDataDirectory } from './support/data-directory.ts'
import { type EmulatorProcess, startEmulatorProcess } from './support/emulator-process.ts'
import { startGatewayProcess } from './support/gateway-process.ts'
import { type ProcessFigures, readFigures } from './support/process-figures.ts'
import { startRawProcess } from './support/raw-process.ts'
import { progress, report } from './support/report.ts'
import { seedSessions } from './support/seed.ts'
import { percentile, round } from './support/statistics.ts'
import { until } from './support/until.ts'

export interface SessionsOptions {
  count: number
  rounds: number
  /** How long a process is left alone before its memory is read: right after work it holds garbage. */
  settleMs: number
}

/** A type, not an interface: it is a record of numbers. */
type Sample = {
  /** Without any session. */
  emptyMb: number
  emptyDatabaseMb: number
  /** With all sessions online. */
  fullMb: number
  fullDatabaseMb: number
  perSessionMb: number
  connectP50Ms: number
  connectP95Ms: number
  /** From the first one's start to connect until the last is online. */
  allOnlineMs: number
  cpuMsPerConnect: number
  /** Of one core, with all sessions online and nothing to do. */
  idleCpuPercent: number
}

const CONNECTING_AT_ONCE = 50

/** What linked sessions cost that have nothing to do. */
export async function sessions(resources: AsyncDisposableStack, options: SessionsOptions): Promise<void> {
  const { count, rounds } = options
  const emulator = await startEmulatorProcess(resources)
  const sides = { raw: measureRaw, frontdesk: measureFrontdesk }
  const samples = await alternate(sides, rounds, async (measure, number) => {
    const sample = await measure(resources, emulator, number, options)
    const megabytes = sample.perSessionMb.toFixed(3)
    progress(`round ${number}, ${measure === measureRaw ? 'raw Baileys' : 'Frontdesk'}: ${megabytes} MB a session`)
    return sample
  })
  const [raw, frontdesk] = [medians(samples.raw), medians(samples.frontdesk)]
  const row = (name: string, figure: keyof Sample, digits: number) => [
    name,
    raw[figure].toFixed(digits),
    frontdesk[figure].toFixed(digits),
  ]
  report(
    `Sessions: ${count} linked, online and idle, medians of ${rounds} rounds`,
    [
      ['', 'raw Baileys', 'Frontdesk'],
      row('a session, MB (RSS)', 'perSessionMb', 3),
      row('the process without sessions, MB (RSS)', 'emptyMb', 1),
      row('the process with all, MB (RSS)', 'fullMb', 1),
      row('its database without sessions, MB (PSS)', 'emptyDatabaseMb', 1),
      row('its database with all, MB (PSS)', 'fullDatabaseMb', 1),
      row('connecting, p50, ms', 'connectP50Ms', 0),
      row('connecting, p95, ms', 'connectP95Ms', 0),
      row('until all are online, ms', 'allOnlineMs', 0),
      row('CPU of the process to connect one, ms', 'cpuMsPerConnect', 1),
      row('CPU of the process when idle, % of a core', 'idleCpuPercent', 1),
    ],
    [
      'A session is what the process grew by, divided by the sessions. Both hold their sessions in one process.',
      "The database's memory is PSS: what its processes share is counted once.",
      'Frontdesk connects from the moment on when it serves, and more sessions at once, since each also waits for commits.',
    ],
    {
      benchmark: 'sessions',
      rounds,
      count,
      rssPerSessionMb: round(frontdesk.perSessionMb, 4),
      rawRssPerSessionMb: round(raw.perSessionMb, 4),
      idleRssMb: round(frontdesk.emptyMb + frontdesk.emptyDatabaseMb, 1),
      rawIdleRssMb: round(raw.emptyMb, 1),
      connectP50Ms: round(frontdesk.connectP50Ms),
      rawConnectP50Ms: round(raw.connectP50Ms),
    },
  )
}

type Measure = (
  resources: AsyncDisposableStack,
  emulator: EmulatorProcess,
  round: number,
  options: SessionsOptions,
) => Promise<Sample>

const measureRaw: Measure = async (resources, { control, info }, number, { count, settleMs }) => {
  progress(`round ${number}, raw Baileys: connecting ${count} sessions`)
  const companions = await linkCompanions(control, 4_915_100_000_000 + number * 1_000_000, count)
  const raw = await startRawProcess(resources)
  await delay(settleMs)
  const empty = readFigures(raw.pid)
  const startedAt = performance.now()
  const { url, rootKey } = info
  const connectMs = await raw.connect({ url, rootKey, companions, concurrency: CONNECTING_AT_ONCE })
  const allOnlineMs = performance.now() - startedAt
  const idle = await measureIdle(raw.pid, settleMs)
  await raw.stop()
  return sampleOf({ empty, ...idle, connectMs, allOnlineMs, cpuMs: idle.online.cpuMs - empty.cpuMs })
}

const measureFrontdesk: Measure = async (resources, { control, info }, number, { count, settleMs }) => {
  const directory = await createDataDirectory(resources)
  const withoutSessions = await startGatewayProcess(resources, directory, info)
  await delay(settleMs)
  const empty = readFigures(withoutSessions.pid)
  await withoutSessions.stop()

  progress(`round ${number}, Frontdesk: connecting ${count} sessions`)
  const companions = await linkCompanions(control, 4_915_200_000_000 + number * 1_000_000, count)
  await seedSessions(directory, companions)
  const { logins } = await control.counters()
  const gateway = await startGatewayProcess(resources, directory, info)
  const started = readFigures(gateway.pid)
  const startedAt = performance.now()
  await untilLoggedIn(control, logins + count)
  const allOnlineMs = performance.now() - startedAt
  const idle = await measureIdle(gateway.pid, settleMs)
  await gateway.stop()
  const connectMs = gateway.connectTimesMs()
  if (connectMs.length !== count) throw new Error(`Only ${connectMs.length} of ${count} sessions came online.`)
  return sampleOf({ empty, ...idle, connectMs, allOnlineMs, cpuMs: idle.online.cpuMs - started.cpuMs })
}

const untilLoggedIn = (control: EmulatorControl, logins: number) =>
  until('all sessions have logged in', async () => (await control.counters()).logins >= logins, {
    everyMs: 100,
    timeoutMs: 600_000,
  })

interface Idle {
  /** At once. */
  online: ProcessFigures
  settled: ProcessFigures
  idleCpuPercent: number
}

async function measureIdle(pid: number, settleMs: number): Promise<Idle> {
  const online = readFigures(pid)
  await delay(settleMs)
  const from = readFigures(pid)
  // Twice, since each session probes its connection every 30 s.
  await delay(2 * settleMs)
  const settled = readFigures(pid)
  const idleCpuPercent = settleMs === 0 ? 0 : ((settled.cpuMs - from.cpuMs) / (2 * settleMs)) * 100
  return { online, settled, idleCpuPercent }
}

function sampleOf(
  measured: Idle & { empty: ProcessFigures; connectMs: number[]; allOnlineMs: number; cpuMs: number },
): Sample {
  const { empty, settled, connectMs, allOnlineMs, cpuMs, idleCpuPercent } = measured
  return {
    emptyMb: empty.rssMb,
    emptyDatabaseMb: empty.childrenPssMb,
    fullMb: settled.rssMb,
    fullDatabaseMb: settled.childrenPssMb,
    perSessionMb: (settled.rssMb - empty.rssMb) / connectMs.length,
    connectP50Ms: percentile(connectMs, 0.5),
    connectP95Ms: percentile(connectMs, 0.95),
    allOnlineMs,
    cpuMsPerConnect: cpuMs / connectMs.length,
    idleCpuPercent,
  }
}
