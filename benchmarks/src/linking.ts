import { setTimeout as delay } from 'node:timers/promises'
import { establishChats } from './support/chats.ts'
import { startEmulatorProcess } from './support/emulator-process.ts'
import { openFrontdeskSide } from './support/frontdesk-side.ts'
import { readFigures } from './support/process-figures.ts'
import { receiptDelays } from './support/receipt-delays.ts'
import { progress, report } from './support/report.ts'
import { percentile, round } from './support/statistics.ts'
import { until } from './support/until.ts'

export interface LinkingOptions {
  count: number
  /** Linked sessions beside them, with steady traffic. */
  others: number
  settleMs: number
}

/** The others, whose messages must not become slower. */
const OTHERS = { customers: 4, each: 40, perSecond: 100 }
/** No code expires during the measurement. */
const CODE_VALIDITY_MS = 600_000

/** What sessions cost that show a QR code, and whether others notice. */
export async function linking(
  resources: AsyncDisposableStack,
  { count, others, settleMs }: LinkingOptions,
): Promise<void> {
  const emulator = await startEmulatorProcess(resources)
  const { control } = emulator
  await control.configure({ qrValidityMs: { first: CODE_VALIDITY_MS, later: CODE_VALIDITY_MS } })
  const side = await openFrontdeskSide(resources, emulator, 4_915_100_000_000, others, {
    unlinked: count,
    environment: { FRONTDESK_QR_TIMEOUT_MS: String(CODE_VALIDITY_MS) },
  })
  await establishChats(control, side, OTHERS.customers)
  const delays = async (when: string) => {
    await control.prepareBurst({ to: [...side.phones], customers: OTHERS.customers, each: OTHERS.each })
    const measured = await receiptDelays(control, OTHERS.perSecond)
    const [p50Ms, p99Ms] = [percentile(measured, 0.5), percentile(measured, 0.99)]
    progress(`the others, ${when}: receipt after ${round(p50Ms, 1)} ms (p50), ${round(p99Ms, 1)} ms (p99)`)
    return { p50Ms, p99Ms }
  }
  await delays('warming up')
  const alone = await delays('alone')
  await delay(settleMs)
  const before = readFigures(side.pid)
  progress(`${count} sessions begin to link`)
  const [beginning] = await Promise.all([delays('while they begin'), side.startUnlinked()])
  await until('all sessions show a code', async () => (await control.pendingLinks()).length >= count, {
    everyMs: 250,
    timeoutMs: 300_000,
  })
  const shown = await delays('with all codes shown')
  await delay(settleMs)
  const after = readFigures(side.pid)
  const perSessionMb = (after.rssMb - before.rssMb) / count
  report(
    `Linking: ${count} sessions with live QR codes beside ${others} with ${OTHERS.perSecond} messages a second`,
    [
      ['', 'alone', 'while they begin', 'with all codes shown'],
      ['sending to receipt, p50, ms', ...[alone, beginning, shown].map(({ p50Ms }) => p50Ms.toFixed(1))],
      ['sending to receipt, p99, ms', ...[alone, beginning, shown].map(({ p99Ms }) => p99Ms.toFixed(1))],
    ],
    [`A session that shows a code takes ${perSessionMb.toFixed(3)} MB.`],
    {
      benchmark: 'linking',
      ...{ count, others },
      rssPerSessionMb: round(perSessionMb, 4),
      othersP50AloneMs: round(alone.p50Ms, 1),
      othersP99AloneMs: round(alone.p99Ms, 1),
      othersP50BeginningMs: round(beginning.p50Ms, 1),
      othersP99BeginningMs: round(beginning.p99Ms, 1),
      othersP50Ms: round(shown.p50Ms, 1),
      othersP99Ms: round(shown.p99Ms, 1),
    },
  )
}
