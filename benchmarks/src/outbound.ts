import { alternateWarm, medians } from './support/alternate.ts'
import { type Chat, establishChats } from './support/chats.ts'
import { startEmulatorProcess } from './support/emulator-process.ts'
import { openFrontdeskSide } from './support/frontdesk-side.ts'
import { openRawSide } from './support/raw-side.ts'
import { progress, report } from './support/report.ts'
import type { Side } from './support/side.ts'
import { round } from './support/statistics.ts'
import { measureThroughput, type Throughput, throughputRows } from './support/throughput.ts'
import { until } from './support/until.ts'

export interface OutboundOptions {
  messages: number
  sessions: number
  customers: number
  rounds: number
}

/**
 * How fast messages leave: from the first request to the arrival of the last message at WhatsApp's server. And how fast
 * Frontdesk sends what it has accepted before, which is the work that raw Baileys does.
 */
export async function outbound(resources: AsyncDisposableStack, options: OutboundOptions): Promise<void> {
  const { messages, sessions, customers, rounds } = options
  const { control, ...emulator } = await startEmulatorProcess(resources)
  progress(`linking ${sessions} numbers with each`)
  const sides = {
    raw: await openRawSide(resources, { control, ...emulator }, 4_915_100_000_000, sessions),
    frontdesk: await openFrontdeskSide(resources, { control, ...emulator }, 4_915_200_000_000, sessions),
  }
  progress(`opening the chats with ${customers} customers of each number`)
  const chats = new Map<Side, Chat[]>()
  for (const side of Object.values(sides)) chats.set(side, await establishChats(control, side, customers))

  const seen = async () => (await control.counters()).messagesFromCompanions
  const untilSeen = (count: number) => until('WhatsApp has all messages', async () => (await seen()) >= count)
  const textsOf = (side: Side, number: number) =>
    takeTurns(chats.get(side) ?? [], messages).map(({ phone, customer }, index) => ({
      from: phone,
      to: customer,
      text: `Message ${index + 1} of round ${number}`,
    }))

  const backlogs: Throughput[] = []
  const samples = await alternateWarm(sides, rounds, async (side, number) => {
    const before = await seen()
    let handedOverMs = 0
    const sample = await measureThroughput(side.pid, messages, async () => {
      const startedAt = performance.now()
      await side.send(textsOf(side, number))
      handedOverMs = performance.now() - startedAt
      await untilSeen(before + messages)
    })
    progress(`round ${number}, ${side.name}: ${round(sample.messagesPerSecond)} messages a second`)
    if (side === sides.frontdesk) {
      const backlog = await sendBacklog(number)
      if (number > 0) backlogs.push(backlog)
      progress(`round ${number}, ${side.name}: ${round(backlog.messagesPerSecond)} of a backlog`)
    }
    return { ...sample, acceptedPerSecond: (messages / handedOverMs) * 1000 }
  })

  /** From the request to start the sessions: connecting counts, and is little. */
  async function sendBacklog(number: number): Promise<Throughput> {
    const { frontdesk } = sides
    await frontdesk.stopSessions()
    await frontdesk.send(textsOf(frontdesk, number))
    const before = await seen()
    return measureThroughput(frontdesk.pid, messages, async () => {
      await frontdesk.startSessions()
      await untilSeen(before + messages)
    })
  }

  const { decryptFailures, retryReceipts } = await control.counters()
  if (decryptFailures + retryReceipts > 0) {
    throw new Error(`Customers could not read ${decryptFailures} messages, and asked for ${retryReceipts} again.`)
  }
  const sent = 2 * (1 + rounds) * messages + sessions * customers
  const stored = await sides.frontdesk.countStored('outbound')
  if (stored !== sent) throw new Error(`${stored} messages stand in the outbox instead of ${sent}.`)

  const [raw, frontdesk, backlog] = [medians(samples.raw), medians(samples.frontdesk), medians(backlogs)]
  const ratio = frontdesk.messagesPerSecond / raw.messagesPerSecond
  const backlogRatio = backlog.messagesPerSecond / raw.messagesPerSecond
  report(
    `Outbound: ${messages} messages to ${customers} customers of each of ${sessions} sessions, medians of ${rounds} rounds`,
    [
      ...throughputRows({ 'raw Baileys': raw, Frontdesk: frontdesk, 'Frontdesk, accepted before': backlog }),
      ['accepted by the API, a second', '', String(round(frontdesk.acceptedPerSecond)), ''],
    ],
    [
      `From the API on, Frontdesk reaches ${round(ratio * 100)} % of raw Baileys, which is called in its own process and stores nothing.`,
      `With what was accepted before, it reaches ${round(backlogRatio * 100)} %. It stores the keys of each message before it leaves.`,
    ],
    {
      benchmark: 'outbound',
      rounds,
      count: messages,
      sessions,
      messagesPerSecond: round(frontdesk.messagesPerSecond, 1),
      rawMessagesPerSecond: round(raw.messagesPerSecond, 1),
      ratio: round(ratio, 3),
      backlogMessagesPerSecond: round(backlog.messagesPerSecond, 1),
      backlogRatio: round(backlogRatio, 3),
      acceptedPerSecond: round(frontdesk.acceptedPerSecond, 1),
      cpuMsPerMessage: round(frontdesk.cpuMsPerMessage, 3),
      rawCpuMsPerMessage: round(raw.cpuMsPerMessage, 3),
      backlogCpuMsPerMessage: round(backlog.cpuMsPerMessage, 3),
      databaseCpuMsPerMessage: round(frontdesk.databaseCpuMsPerMessage, 3),
    },
  )
}

function takeTurns(chats: readonly Chat[], count: number): Chat[] {
  const turns: Chat[] = []
  while (turns.length < count && chats.length > 0) turns.push(...chats.slice(0, count - turns.length))
  return turns
}
