import { alternate, medians } from './support/alternate.ts'
import { type Chat, establishChats } from './support/chats.ts'
import { startEmulatorProcess } from './support/emulator-process.ts'
import { openFrontdeskSide } from './support/frontdesk-side.ts'
import { openRawSide } from './support/raw-side.ts'
import { progress, report } from './support/report.ts'
import type { Side } from './support/side.ts'
import { round } from './support/statistics.ts'
import { measureThroughput, throughputRows } from './support/throughput.ts'
import { until } from './support/until.ts'

export interface OutboundOptions {
  messages: number
  sessions: number
  customers: number
  rounds: number
}

/** How fast messages leave: from the first request to the arrival of the last message at WhatsApp's server. */
export async function outbound(resources: AsyncDisposableStack, options: OutboundOptions): Promise<void> {
  const { messages, sessions, customers, rounds } = options
  const emulator = await startEmulatorProcess(resources)
  const counters = () => emulator.control.counters()
  progress(`linking ${sessions} numbers with each`)
  const sides = {
    raw: await openRawSide(resources, emulator, 4_915_100_000_000, sessions),
    frontdesk: await openFrontdeskSide(resources, emulator, 4_915_200_000_000, sessions),
  }
  progress(`opening the chats with ${customers} customers of each number`)
  const chats = new Map<Side, Chat[]>()
  for (const side of Object.values(sides)) chats.set(side, await establishChats(emulator.control, side, customers))

  const samples = await alternate(sides, rounds, async (side, number) => {
    const texts = takeTurns(chats.get(side) ?? [], messages).map(({ phone, customer }, index) => ({
      from: phone,
      to: customer,
      text: `Message ${index + 1} of round ${number}`,
    }))
    const before = (await counters()).messagesFromCompanions
    let handedOverMs = 0
    const throughput = await measureThroughput(side.pid, messages, async () => {
      const startedAt = performance.now()
      await side.send(texts)
      handedOverMs = performance.now() - startedAt
      await until(
        `WhatsApp has all messages of ${side.name}`,
        async () => (await counters()).messagesFromCompanions - before >= messages,
      )
    })
    progress(`round ${number}, ${side.name}: ${round(throughput.messagesPerSecond)} messages a second`)
    return { ...throughput, handedOverPerSecond: (messages / handedOverMs) * 1000 }
  })

  const { decryptFailures, retryReceipts } = await counters()
  if (decryptFailures + retryReceipts > 0) {
    throw new Error(
      `${decryptFailures} messages could not be decrypted by customers, ${retryReceipts} were asked for again.`,
    )
  }
  const [raw, frontdesk] = [medians(samples.raw), medians(samples.frontdesk)]
  const ratio = frontdesk.messagesPerSecond / raw.messagesPerSecond
  report(
    `Outbound: ${messages} messages to ${customers} customers on ${sessions} sessions, medians of ${rounds} rounds`,
    [
      ...throughputRows(raw, frontdesk),
      ['accepted by the API, a second', '', String(round(frontdesk.handedOverPerSecond))],
    ],
    [
      `Frontdesk reaches ${round(ratio * 100)} % of raw Baileys, which is called in its own process and stores nothing.`,
      'Frontdesk answers a request over HTTP for each message, and stores it before and its keys before it leaves.',
    ],
    {
      benchmark: 'outbound',
      rounds,
      count: messages,
      sessions,
      messagesPerSecond: round(frontdesk.messagesPerSecond, 1),
      rawMessagesPerSecond: round(raw.messagesPerSecond, 1),
      ratio: round(ratio, 3),
      cpuMsPerMessage: round(frontdesk.cpuMsPerMessage, 3),
      rawCpuMsPerMessage: round(raw.cpuMsPerMessage, 3),
      databaseCpuMsPerMessage: round(frontdesk.databaseCpuMsPerMessage, 3),
      acceptedPerSecond: round(frontdesk.handedOverPerSecond, 1),
    },
  )
}

function takeTurns(chats: readonly Chat[], count: number): Chat[] {
  const turns: Chat[] = []
  while (turns.length < count && chats.length > 0) turns.push(...chats.slice(0, count - turns.length))
  return turns
}
