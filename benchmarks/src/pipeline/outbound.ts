import { alternateWarm, medians } from '../support/alternate.ts'
import { type Chat, establishChats } from '../support/chats.ts'
import type { EmulatorProcess } from '../support/emulator-process.ts'
import { openFrontdeskSide } from '../support/frontdesk-side.ts'
import { openRawSide } from '../support/raw-side.ts'
import { progress } from '../support/report.ts'
import type { Side } from '../support/side.ts'
import { round } from '../support/statistics.ts'
import { measureThroughput, type Throughput } from '../support/throughput.ts'
import { until } from '../support/until.ts'
import type { SaturationOptions } from './saturation-options.ts'

/**
 * How fast messages leave, until the customers' phones have decrypted the last. `frontdesk` sends what it has accepted
 * before, which is the work that raw Baileys does; `fromApi` counts from the first request, one for each message.
 */
export async function measureOutbound(
  resources: AsyncDisposableStack,
  emulator: EmulatorProcess,
  { messages, sessions, customers, rounds }: SaturationOptions,
): Promise<{ raw: Throughput; frontdesk: Throughput; fromApi: Throughput }> {
  const { control } = emulator
  await using processes = resources.use(new AsyncDisposableStack())
  progress(`outbound: linking ${sessions} numbers with each`)
  const sides = {
    raw: await openRawSide(processes, emulator, 4_915_500_000_000, sessions),
    frontdesk: await openFrontdeskSide(processes, emulator, 4_915_600_000_000, sessions),
  }
  const chats = new Map<Side, Chat[]>()
  for (const side of Object.values(sides)) chats.set(side, await establishChats(control, side, customers))

  const seen = async () => (await control.counters()).messagesFromCompanions
  const textsOf = (side: Side, number: number) =>
    takeTurns(chats.get(side) ?? [], messages).map(({ phone, customer }, index) => ({
      from: phone,
      to: customer,
      text: `Message ${index + 1} of round ${number}`,
    }))
  const untilSeen = async (pid: number, what: string, begin: () => Promise<void>): Promise<Throughput> => {
    const expected = (await seen()) + messages
    const throughput = await measureThroughput(pid, messages, async () => {
      await begin()
      await until('WhatsApp has all messages', async () => (await seen()) >= expected)
    })
    progress(`outbound, ${what}: ${round(throughput.messagesPerSecond)} messages a second`)
    return throughput
  }

  const fromApi: Throughput[] = []
  const samples = await alternateWarm(sides, rounds, async (side, number) => {
    const what = `round ${number}, ${side.name}`
    const { frontdesk } = sides
    if (side !== frontdesk) return untilSeen(side.pid, what, () => side.send(textsOf(side, number)))
    const sent = await untilSeen(side.pid, `${what} from the API on`, () => side.send(textsOf(side, number)))
    if (number > 0) fromApi.push(sent)
    await frontdesk.stopSessions()
    await frontdesk.send(textsOf(frontdesk, number))
    // From the request to start the sessions: connecting counts, and is little.
    return untilSeen(side.pid, what, () => frontdesk.startSessions())
  })

  const { decryptFailures, retryReceipts } = await control.counters()
  if (decryptFailures + retryReceipts > 0) {
    throw new Error(`Customers could not read ${decryptFailures} messages, and asked for ${retryReceipts} again.`)
  }
  const sent = 2 * (1 + rounds) * messages + sessions * customers
  const stored = await sides.frontdesk.countStored('outbound')
  if (stored !== sent) throw new Error(`${stored} messages stand in the outbox instead of ${sent}.`)
  return { raw: medians(samples.raw), frontdesk: medians(samples.frontdesk), fromApi: medians(fromApi) }
}

function takeTurns(chats: readonly Chat[], count: number): Chat[] {
  const turns: Chat[] = []
  while (turns.length < count && chats.length > 0) turns.push(...chats.slice(0, count - turns.length))
  return turns
}
