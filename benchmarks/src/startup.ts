import { setTimeout as delay } from 'node:timers/promises'
import { linkCompanions } from './support/companions.ts'
import { createDataDirectory } from './support/data-directory.ts'
import { startEmulatorProcess } from './support/emulator-process.ts'
import { startGatewayProcess } from './support/gateway-process.ts'
import { type ProcessFigures, readFigures } from './support/process-figures.ts'
import { startRawProcess } from './support/raw-process.ts'
import { progress, report } from './support/report.ts'
import { median, round } from './support/statistics.ts'

export interface StartupOptions {
  rounds: number
  settleMs: number
}

/** How long the gateway takes from the start of its process until it serves, and what it needs when idle. */
export async function startup(resources: AsyncDisposableStack, options: StartupOptions): Promise<void> {
  const { rounds, settleMs } = options
  const emulator = await startEmulatorProcess(resources)
  const firstRuns: number[] = []
  const starts: number[] = []
  const idle: ProcessFigures[] = []
  const raw: { startMs: number; rssMb: number }[] = []
  for (let number = 1; number <= rounds; number++) {
    raw.push(await startRaw(number))
    const directory = await createDataDirectory(resources)
    const first = await startGatewayProcess(resources, directory, emulator.info)
    await first.stop()
    const second = await startGatewayProcess(resources, directory, emulator.info)
    await delay(settleMs)
    idle.push(readFigures(second.pid))
    await second.stop()
    firstRuns.push(first.startToServingMs)
    starts.push(second.startToServingMs)
    progress(
      `round ${number}: first run ${round(first.startToServingMs)} ms, second ${round(second.startToServingMs)} ms`,
    )
  }

  async function startRaw(number: number) {
    const [companion] = await linkCompanions(emulator.control, 4_915_100_000_000 + number, 1)
    const startedAt = performance.now()
    const process = await startRawProcess(resources)
    await process.connect({
      url: emulator.info.url,
      rootKey: emulator.info.rootKey,
      companions: companion === undefined ? [] : [companion],
      concurrency: 1,
    })
    const startMs = performance.now() - startedAt
    await delay(settleMs)
    const { rssMb } = readFigures(process.pid)
    await process.stop()
    return { startMs, rssMb }
  }

  const gatewayMb = median(idle.map(({ rssMb }) => rssMb))
  const databaseMb = median(idle.map(({ childrenPssMb }) => childrenPssMb))
  const rawMb = median(raw.map(({ rssMb }) => rssMb))
  report(
    `Start: medians of ${rounds} rounds`,
    [
      ['', 'raw Baileys', 'Frontdesk'],
      ['first run, start to serving, ms', '', String(round(median(firstRuns)))],
      ['start to serving, ms', '', String(round(median(starts)))],
      ['start to one session online, ms', String(round(median(raw.map(({ startMs }) => startMs)))), ''],
      ['idle, the process, MB (RSS)', rawMb.toFixed(1), gatewayMb.toFixed(1)],
      ['idle, its database, MB (PSS)', '', databaseMb.toFixed(1)],
    ],
    [
      'Serving means that /ready answers 200. The first run creates the database.',
      "The database's memory is PSS: what its processes share is counted once.",
    ],
    {
      benchmark: 'startup',
      rounds,
      firstRunMs: round(median(firstRuns)),
      startToServingMs: round(median(starts)),
      idleRssMb: round(gatewayMb + databaseMb, 1),
      rawIdleRssMb: round(rawMb, 1),
    },
  )
}
