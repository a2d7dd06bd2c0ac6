import { alternate, medians } from './support/alternate.ts'
import { linkCompanions } from './support/companions.ts'
import { createDataDirectory } from './support/data-directory.ts'
import { type EmulatorProcess, startEmulatorProcess } from './support/emulator-process.ts'
import { startGatewayProcess } from './support/gateway-process.ts'
import { readFigures } from './support/process-figures.ts'
import { startRawProcess } from './support/raw-process.ts'
import { progress, report } from './support/report.ts'
import { seedSessions } from './support/seed.ts'
import { round } from './support/statistics.ts'
import { until } from './support/until.ts'

export interface RestartOptions {
  count: number
  rounds: number
}

const CONNECTING_AT_ONCE = 50

/** A type, not an interface: it is a record of numbers. */
type Sample = {
  /** From the start of the process until WhatsApp has seen the last session log in. */
  secondsToAllOnline: number
  cpuMsPerConnect: number
}

/** How long a restart keeps linked sessions away: from the start of the process to all of them online. */
export async function restart(resources: AsyncDisposableStack, { count, rounds }: RestartOptions): Promise<void> {
  const emulator = await startEmulatorProcess(resources)
  const samples = await alternate({ raw: restartRaw, frontdesk: restartFrontdesk }, rounds, async (measure, number) => {
    const sample = await measure(resources, emulator, number, count)
    const name = measure === restartRaw ? 'raw Baileys' : 'Frontdesk'
    progress(`round ${number}, ${name}: ${count} sessions online after ${sample.secondsToAllOnline.toFixed(1)} s`)
    return sample
  })
  const [raw, frontdesk] = [medians(samples.raw), medians(samples.frontdesk)]
  report(
    `Restart: ${count} linked sessions, medians of ${rounds} rounds`,
    [
      ['', 'raw Baileys', 'Frontdesk'],
      [
        'start of the process to all online, s',
        raw.secondsToAllOnline.toFixed(1),
        frontdesk.secondsToAllOnline.toFixed(1),
      ],
      ['CPU of the process for each, ms', raw.cpuMsPerConnect.toFixed(1), frontdesk.cpuMsPerConnect.toFixed(1)],
    ],
    [
      'Frontdesk starts its database, reads and opens the sealed credentials and commits what each login changes; raw',
      'Baileys has its credentials in memory and stores nothing. The CPU includes the start of the process.',
    ],
    {
      benchmark: 'restart',
      rounds,
      count,
      secondsToAllOnline: round(frontdesk.secondsToAllOnline, 2),
      rawSecondsToAllOnline: round(raw.secondsToAllOnline, 2),
      cpuMsPerConnect: round(frontdesk.cpuMsPerConnect, 2),
      rawCpuMsPerConnect: round(raw.cpuMsPerConnect, 2),
    },
  )
}

type Measure = (
  resources: AsyncDisposableStack,
  emulator: EmulatorProcess,
  round: number,
  count: number,
) => Promise<Sample>

const restartRaw: Measure = async (resources, { control, info: { url, rootKey } }, number, count) => {
  const companions = await linkCompanions(control, 4_915_100_000_000 + number * 1_000_000, count)
  const startedAt = performance.now()
  const raw = await startRawProcess(resources)
  await raw.connect({ url, rootKey, companions, concurrency: CONNECTING_AT_ONCE })
  const sample = sampleOf(startedAt, readFigures(raw.pid).cpuMs, count)
  await raw.stop()
  return sample
}

const restartFrontdesk: Measure = async (resources, { control, info }, number, count) => {
  const directory = await createDataDirectory(resources)
  const companions = await linkCompanions(control, 4_915_200_000_000 + number * 1_000_000, count)
  await seedSessions(directory, companions)
  const { logins } = await control.counters()
  const startedAt = performance.now()
  const gateway = await startGatewayProcess(resources, directory, info)
  const isDone = async () => (await control.counters()).logins >= logins + count
  await until('all sessions have logged in', isDone, { everyMs: 50, timeoutMs: 600_000 })
  const sample = sampleOf(startedAt, readFigures(gateway.pid).cpuMs, count)
  await gateway.stop()
  return sample
}

const sampleOf = (startedAt: number, cpuMs: number, count: number): Sample => ({
  secondsToAllOnline: (performance.now() - startedAt) / 1000,
  cpuMsPerConnect: cpuMs / count,
})
