import { alternate, alternateWarm, medians } from './support/alternate.ts'
import { establishChats } from './support/chats.ts'
import { type EmulatorProcess, startEmulatorProcess } from './support/emulator-process.ts'
import { openFrontdeskSide } from './support/frontdesk-side.ts'
import { openRawSide } from './support/raw-side.ts'
import { receiptDelays } from './support/receipt-delays.ts'
import { progress, report } from './support/report.ts'
import { percentile, round } from './support/statistics.ts'
import { measureThroughput, type Throughput, throughputRows } from './support/throughput.ts'
import { until } from './support/until.ts'

export interface InboundOptions {
  messages: number
  sessions: number
  customers: number
  rounds: number
  /** Messages of the paced part in each round. */
  paced: number
}

/** How many numbers and customers of each the paced traffic is spread over, and its pace. */
const PACED = { sessions: 50, customers: 4, perSecond: 200 }

/**
 * How fast messages come in, and how much later than raw Baileys they are receipted. A receipt is the measure of both,
 * since Frontdesk lets it go only when the message is committed.
 */
export async function inbound(resources: AsyncDisposableStack, asked: InboundOptions): Promise<void> {
  // Each session gets as many as the others.
  const options = { ...asked, messages: Math.ceil(asked.messages / asked.sessions) * asked.sessions }
  const emulator = await startEmulatorProcess(resources)
  const bursts = await measureBursts(resources, emulator, options)
  const delays = await measureDelays(resources, emulator, options)
  const { retryReceipts } = await emulator.control.counters()
  if (retryReceipts > 0) throw new Error(`${retryReceipts} messages could not be decrypted and were asked for again.`)

  const { raw, frontdesk } = bursts
  const ratio = frontdesk.messagesPerSecond / raw.messagesPerSecond
  const added = (figure: keyof Delays) => round(delays.frontdesk[figure] - delays.raw[figure], 1)
  const delayRow = (figure: keyof Delays) => [delays.raw[figure].toFixed(1), delays.frontdesk[figure].toFixed(1)]
  const { messages, sessions, customers, rounds } = options
  report(
    `Inbound: ${messages} messages of ${customers} customers on each of ${sessions} sessions, medians of ${rounds} rounds`,
    [
      ...throughputRows({ 'raw Baileys': raw, Frontdesk: frontdesk }),
      ['sending to receipt, p50, ms', ...delayRow('p50Ms')],
      ['sending to receipt, p99, ms', ...delayRow('p99Ms')],
    ],
    [
      `Frontdesk reaches ${round(ratio * 100)} % of raw Baileys, and adds ${added('p50Ms')} ms (p50) and ${added('p99Ms')} ms (p99) at ${PACED.perSecond} messages a second on ${PACED.sessions} sessions.`,
      'Every message stands in the inbox once.',
    ],
    {
      benchmark: 'inbound',
      rounds,
      count: messages,
      sessions,
      messagesPerSecond: round(frontdesk.messagesPerSecond, 1),
      rawMessagesPerSecond: round(raw.messagesPerSecond, 1),
      ratio: round(ratio, 3),
      cpuMsPerMessage: round(frontdesk.cpuMsPerMessage, 3),
      rawCpuMsPerMessage: round(raw.cpuMsPerMessage, 3),
      databaseCpuMsPerMessage: round(frontdesk.databaseCpuMsPerMessage, 3),
      addedLatencyP50Ms: added('p50Ms'),
      addedLatencyP99Ms: added('p99Ms'),
    },
  )
}

/** From a message's sending to its receipt. A type, not an interface: it is a record of numbers. */
type Delays = { p50Ms: number; p99Ms: number }

interface Measured<Figures> {
  raw: Figures
  frontdesk: Figures
}

async function measureBursts(
  resources: AsyncDisposableStack,
  emulator: EmulatorProcess,
  { messages, sessions, customers, rounds }: InboundOptions,
): Promise<Measured<Throughput>> {
  const { control } = emulator
  const part = await openPart(resources, emulator, { firstPhone: 4_915_100_000_000, sessions, customers })
  const samples = await alternateWarm(part.sides, rounds, async (side, number) => {
    await control.prepareBurst({ to: [...side.phones], customers, each: messages / sessions })
    const before = (await control.counters()).receipts
    const throughput = await measureThroughput(side.pid, messages, async () => {
      await control.fireBurst()
      await until(
        `${side.name} has receipted all messages`,
        async () => (await control.counters()).receipts - before >= messages,
      )
    })
    progress(`round ${number}, ${side.name}: ${round(throughput.messagesPerSecond)} messages a second`)
    return throughput
  })
  await part.end((1 + rounds) * messages)
  return { raw: medians(samples.raw), frontdesk: medians(samples.frontdesk) }
}

async function measureDelays(
  resources: AsyncDisposableStack,
  emulator: EmulatorProcess,
  { paced, rounds }: InboundOptions,
): Promise<Measured<Delays>> {
  const { control } = emulator
  const { customers, perSecond } = PACED
  const sessions = Math.min(PACED.sessions, paced)
  const each = Math.ceil(paced / sessions)
  const part = await openPart(resources, emulator, { firstPhone: 4_915_300_000_000, sessions, customers })
  const samples = await alternate(part.sides, rounds, async (side, number) => {
    await control.prepareBurst({ to: [...side.phones], customers, each })
    const delays = await receiptDelays(control, perSecond)
    const [p50Ms, p99Ms] = [percentile(delays, 0.5), percentile(delays, 0.99)]
    progress(`round ${number}, ${side.name}: receipt after ${round(p50Ms, 1)} ms (p50), ${round(p99Ms, 1)} ms (p99)`)
    return { p50Ms, p99Ms }
  })
  await part.end(rounds * each * sessions)
  return { raw: medians(samples.raw), frontdesk: medians(samples.frontdesk) }
}

/**
 * Both sides with so many sessions and open chats, in processes of their own. Bursts and paced traffic do not share them:
 * a burst keeps raw Baileys from answering for so long that its other sessions take their connections for lost.
 */
async function openPart(
  resources: AsyncDisposableStack,
  emulator: EmulatorProcess,
  { firstPhone, sessions, customers }: { firstPhone: number; sessions: number; customers: number },
) {
  const processes = resources.use(new AsyncDisposableStack())
  progress(`linking ${sessions} numbers with each`)
  const sides = {
    raw: await openRawSide(processes, emulator, firstPhone, sessions),
    frontdesk: await openFrontdeskSide(processes, emulator, firstPhone + 100_000_000, sessions),
  }
  for (const side of Object.values(sides)) {
    progress(`opening the chats of ${side.name} with ${customers} customers of each number`)
    await establishChats(emulator.control, side, customers)
  }
  return {
    sides,
    /** Makes sure that the inbox holds so many messages, and those that opened the chats. */
    async end(messages: number): Promise<void> {
      const received = messages + sessions * customers
      const stored = await sides.frontdesk.countStored('inbound')
      if (stored !== received) throw new Error(`${stored} messages stand in the inbox instead of ${received}.`)
      await processes.disposeAsync()
    },
  }
}
