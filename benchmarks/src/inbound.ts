import { alternate, medians } from './support/alternate.ts'
import { establishChats } from './support/chats.ts'
import { startEmulatorProcess } from './support/emulator-process.ts'
import { openFrontdeskSide } from './support/frontdesk-side.ts'
import { openRawSide } from './support/raw-side.ts'
import { receiptDelays } from './support/receipt-delays.ts'
import { progress, report } from './support/report.ts'
import { percentile, round } from './support/statistics.ts'
import { measureThroughput, throughputRows } from './support/throughput.ts'
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
export async function inbound(resources: AsyncDisposableStack, options: InboundOptions): Promise<void> {
  const { sessions, customers, rounds } = options
  const each = Math.ceil(options.messages / sessions)
  const count = each * sessions
  const pacedSessions = Math.min(PACED.sessions, options.paced)
  const pacedEach = Math.ceil(options.paced / pacedSessions)
  const emulator = await startEmulatorProcess(resources)
  const { control } = emulator
  progress(`linking ${sessions + pacedSessions} numbers with each`)
  const sides = {
    raw: await openRawSide(resources, emulator, 4_915_100_000_000, sessions + pacedSessions),
    frontdesk: await openFrontdeskSide(resources, emulator, 4_915_200_000_000, sessions + pacedSessions),
  }
  progress('opening the chats with all customers')
  for (const side of Object.values(sides)) {
    await establishChats(control, side, side.phones.slice(0, sessions), customers)
    await establishChats(control, side, side.phones.slice(sessions), PACED.customers)
  }

  const bursts = await alternate(sides, rounds, async (side, number) => {
    await control.prepareBurst({ to: side.phones.slice(0, sessions), customers, each })
    const before = (await control.counters()).receipts
    const throughput = await measureThroughput(side.pid, count, async () => {
      await control.fireBurst()
      await until(
        `${side.name} has receipted all messages`,
        async () => (await control.counters()).receipts - before >= count,
      )
    })
    progress(`round ${number}, ${side.name}: ${round(throughput.messagesPerSecond)} messages a second`)
    return throughput
  })
  const delays = await alternate(sides, rounds, async (side, number) => {
    await control.prepareBurst({ to: side.phones.slice(sessions), customers: PACED.customers, each: pacedEach })
    const ofRound = await receiptDelays(control, PACED.perSecond)
    progress(`round ${number}, ${side.name}: receipt after ${round(percentile(ofRound, 0.5), 1)} ms (p50)`)
    return ofRound
  })
  const { retryReceipts } = await control.counters()
  if (retryReceipts > 0) throw new Error(`${retryReceipts} messages could not be decrypted and were asked for again.`)
  const received = sessions * customers + pacedSessions * PACED.customers + rounds * (count + pacedSessions * pacedEach)
  const stored = await sides.frontdesk.countStored('inbound')
  if (stored !== received) throw new Error(`${stored} of ${received} messages stand in the inbox.`)

  const [raw, frontdesk] = [medians(bursts.raw), medians(bursts.frontdesk)]
  const ratio = frontdesk.messagesPerSecond / raw.messagesPerSecond
  const delay = (share: number) => {
    const ofRaw = percentile(delays.raw.flat(), share)
    const ofFrontdesk = percentile(delays.frontdesk.flat(), share)
    return { row: [ofRaw.toFixed(1), ofFrontdesk.toFixed(1)], added: round(ofFrontdesk - ofRaw, 1) }
  }
  const [p50, p99] = [delay(0.5), delay(0.99)]
  report(
    `Inbound: ${count} messages of ${customers} customers each on ${sessions} sessions, medians of ${rounds} rounds`,
    [
      ...throughputRows(raw, frontdesk),
      ['sending to receipt, p50, ms', ...p50.row],
      ['sending to receipt, p99, ms', ...p99.row],
    ],
    [
      `Frontdesk reaches ${round(ratio * 100)} % of raw Baileys, and adds ${p50.added} ms (p50) and ${p99.added} ms (p99) at ${PACED.perSecond} messages a second on ${pacedSessions} sessions.`,
      `All ${received} messages stand in the inbox once.`,
    ],
    {
      benchmark: 'inbound',
      rounds,
      count,
      sessions,
      messagesPerSecond: round(frontdesk.messagesPerSecond, 1),
      rawMessagesPerSecond: round(raw.messagesPerSecond, 1),
      ratio: round(ratio, 3),
      cpuMsPerMessage: round(frontdesk.cpuMsPerMessage, 3),
      rawCpuMsPerMessage: round(raw.cpuMsPerMessage, 3),
      databaseCpuMsPerMessage: round(frontdesk.databaseCpuMsPerMessage, 3),
      addedLatencyP50Ms: p50.added,
      addedLatencyP99Ms: p99.added,
    },
  )
}
