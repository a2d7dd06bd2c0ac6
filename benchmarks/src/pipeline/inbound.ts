import { alternateWarm, medians } from '../support/alternate.ts'
import { establishChats } from '../support/chats.ts'
import type { EmulatorProcess } from '../support/emulator-process.ts'
import { openFrontdeskSide } from '../support/frontdesk-side.ts'
import { openRawSide } from '../support/raw-side.ts'
import { progress } from '../support/report.ts'
import { round } from '../support/statistics.ts'
import { measureThroughput, type Throughput } from '../support/throughput.ts'
import { until } from '../support/until.ts'
import type { SaturationOptions } from './saturation-options.ts'

/**
 * How fast messages come in. A message counts when its receipt is back at the emulator: Frontdesk lets it go only when
 * the message is committed.
 */
export async function measureInbound(
  resources: AsyncDisposableStack,
  emulator: EmulatorProcess,
  { messages, sessions, customers, rounds }: SaturationOptions,
): Promise<{ raw: Throughput; frontdesk: Throughput }> {
  const { control } = emulator
  await using processes = resources.use(new AsyncDisposableStack())
  progress(`inbound: linking ${sessions} numbers with each`)
  const sides = {
    raw: await openRawSide(processes, emulator, 4_915_100_000_000, sessions),
    frontdesk: await openFrontdeskSide(processes, emulator, 4_915_200_000_000, sessions),
  }
  for (const side of Object.values(sides)) await establishChats(control, side, customers)

  const samples = await alternateWarm(sides, rounds, async (side, number) => {
    await control.prepareBurst({ to: [...side.phones], customers, each: messages / sessions })
    const before = (await control.counters()).receipts
    const throughput = await measureThroughput(side.pid, messages, async () => {
      await control.fireBurst()
      await until(
        `${side.name} has receipted all messages`,
        async () => (await control.counters()).receipts - before >= messages,
      )
    })
    progress(`inbound, round ${number}, ${side.name}: ${round(throughput.messagesPerSecond)} messages a second`)
    return throughput
  })

  const { retryReceipts } = await control.counters()
  if (retryReceipts > 0) throw new Error(`${retryReceipts} messages could not be decrypted and were asked for again.`)
  const received = (1 + rounds) * messages + sessions * customers
  const stored = await sides.frontdesk.countStored('inbound')
  if (stored !== received) throw new Error(`${stored} messages stand in the inbox instead of ${received}.`)
  return { raw: medians(samples.raw), frontdesk: medians(samples.frontdesk) }
}
