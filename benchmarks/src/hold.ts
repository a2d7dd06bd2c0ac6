import { setTimeout as delay } from 'node:timers/promises'
import type { EmulatorControl } from 'whatsapp-emulator'
import { establishChats } from './support/chats.ts'
import { type EmulatorProcess, startEmulatorProcess } from './support/emulator-process.ts'
import { openFrontdeskSide } from './support/frontdesk-side.ts'
import { type ProcessFigures, readFigures } from './support/process-figures.ts'
import { openRawSide } from './support/raw-side.ts'
import { progress, report } from './support/report.ts'
import type { Side } from './support/side.ts'
import { median, round } from './support/statistics.ts'
import { until } from './support/until.ts'

export interface HoldOptions {
  sessions: number
  seconds: number
  perSecond: number
}

const SAMPLE_EVERY_MS = 5_000
/** Raw Baileys is there for its memory, not for its growth: longer teaches nothing. */
const RAW_SECONDS = 120
const CUSTOMERS = 2
/** To each session, in one part of the traffic. */
const EACH_AT_ONCE = 3

/** A type, not an interface: it is a record of numbers. */
type Held = {
  /** Memory of the process, in the first and in the last third of the time. */
  startMb: number
  endMb: number
  databaseMb: number
  cpuPercent: number
  databaseCpuPercent: number
}

/** Many sessions with steady traffic for a while: whether memory stays where it is, what it costs, and that nothing is lost. */
export async function hold(resources: AsyncDisposableStack, options: HoldOptions): Promise<void> {
  const { sessions, seconds, perSecond } = options
  const emulator = await startEmulatorProcess(resources)
  const raw = await measure(resources, emulator, options, Math.min(seconds, RAW_SECONDS), (processes) =>
    openRawSide(processes, emulator, 4_915_100_000_000, sessions),
  )
  const messages = sessions * eachIn(options, seconds)
  let lost = 0
  const frontdesk = await measure(resources, emulator, options, seconds, async (processes) => {
    const side = await openFrontdeskSide(processes, emulator, 4_915_200_000_000, sessions)
    processes.defer(async () => {
      lost = messages + sessions * CUSTOMERS - (await side.countStored('inbound'))
    })
    return side
  })
  const { retryReceipts } = await emulator.control.counters()
  const growth = (held: Held) => (held.endMb / held.startMb - 1) * 100
  const row = (name: string, figure: (held: Held) => number, digits: number) => [
    name,
    figure(raw).toFixed(digits),
    figure(frontdesk).toFixed(digits),
  ]
  report(
    `Hold: ${sessions} sessions for ${seconds} s, ${perSecond} messages a second`,
    [
      ['', 'raw Baileys', 'Frontdesk'],
      row('memory in the first third, MB (RSS)', ({ startMb }) => startMb, 1),
      row('memory in the last third, MB (RSS)', ({ endMb }) => endMb, 1),
      ['growth, %', '', growth(frontdesk).toFixed(1)],
      row('its database, MB (PSS)', ({ databaseMb }) => databaseMb, 1),
      row('CPU of the process, % of a core', ({ cpuPercent }) => cpuPercent, 1),
      row('CPU of its database, % of a core', ({ databaseCpuPercent }) => databaseCpuPercent, 1),
    ],
    [`${lost} of ${messages} messages are missing in the inbox; ${retryReceipts} could not be decrypted at once.`],
    {
      benchmark: 'hold',
      ...{ sessions, seconds, perSecond, messages, lost, retryReceipts },
      rssPerSessionMb: round(frontdesk.endMb / sessions, 4),
      rawRssPerSessionMb: round(raw.endMb / sessions, 4),
      growthPercent: round(growth(frontdesk), 2),
      cpuPercent: round(frontdesk.cpuPercent, 1),
      rawCpuPercent: round(raw.cpuPercent, 1),
      databaseMb: round(frontdesk.databaseMb, 1),
    },
  )
}

async function measure(
  resources: AsyncDisposableStack,
  { control }: EmulatorProcess,
  options: HoldOptions,
  seconds: number,
  open: (processes: AsyncDisposableStack) => Promise<Side>,
): Promise<Held> {
  const { sessions, perSecond } = options
  const processes = resources.use(new AsyncDisposableStack())
  const side = await open(processes)
  progress(`${side.name}: ${sessions} sessions are online; opening their chats`)
  await establishChats(control, side, CUSTOMERS)
  const { receipts } = await control.counters()
  const each = eachIn(options, seconds)
  progress(`${side.name}: ${sessions * each} messages at ${perSecond} a second`)
  const samples = await sampleWhile(side.pid, async () => {
    // In parts, each over before a request for it would be given up.
    for (let fired = 0; fired < each; fired += EACH_AT_ONCE) {
      const part = Math.min(EACH_AT_ONCE, each - fired)
      await control.prepareBurst({ to: [...side.phones], customers: CUSTOMERS, each: part })
      await control.fireBurst({ perSecond })
    }
    await untilReceipted(control, receipts + sessions * each)
  })
  const third = Math.max(1, Math.floor(samples.length / 3))
  const [first, last] = [samples[0], samples.at(-1)]
  if (first === undefined || last === undefined) throw new Error('It was over before it could be measured.')
  const measuredMs = last.atMs - first.atMs
  const held = {
    startMb: median(samples.slice(0, third).map(({ rssMb }) => rssMb)),
    endMb: median(samples.slice(-third).map(({ rssMb }) => rssMb)),
    databaseMb: last.childrenPssMb,
    cpuPercent: ((last.cpuMs - first.cpuMs) / measuredMs) * 100,
    databaseCpuPercent: ((last.childrenCpuMs - first.childrenCpuMs) / measuredMs) * 100,
  }
  await processes.disposeAsync()
  return held
}

/** Messages to each session in so many seconds. */
const eachIn = ({ sessions, perSecond }: HoldOptions, seconds: number): number =>
  Math.ceil((seconds * perSecond) / sessions)

async function sampleWhile(pid: number, work: () => Promise<void>): Promise<(ProcessFigures & { atMs: number })[]> {
  const samples: (ProcessFigures & { atMs: number })[] = []
  const ending = new AbortController()
  const working = work().finally(() => ending.abort())
  while (!ending.signal.aborted) {
    samples.push({ ...readFigures(pid), atMs: performance.now() })
    // The end of the work ends the pause as well.
    await delay(SAMPLE_EVERY_MS, undefined, { signal: ending.signal }).catch(() => undefined)
  }
  samples.push({ ...readFigures(pid), atMs: performance.now() })
  await working
  return samples
}

const untilReceipted = (control: EmulatorControl, receipts: number) =>
  until('all messages are receipted', async () => (await control.counters()).receipts >= receipts, { everyMs: 100 })
