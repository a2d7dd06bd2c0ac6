import { establishChats } from '../support/chats.ts'
import type { EmulatorProcess } from '../support/emulator-process.ts'
import { openFrontdeskSide } from '../support/frontdesk-side.ts'
import { progress } from '../support/report.ts'
import { median, percentile, round } from '../support/statistics.ts'
import { until } from '../support/until.ts'
import { LOOPBACK_ALLOWED, startWebhookReceiver } from '../support/webhook-receiver.ts'

const SESSIONS = 50
const CUSTOMERS = 4

export interface LatencyOptions {
  /** Messages a second, over all sessions. */
  rate: number
  /** In each round. */
  paced: number
  rounds: number
}

/**
 * How long after the emulator has written a message to the socket it is at the company's webhook endpoint. All of that
 * is Frontdesk's: reading, decrypting, the commit, the delivery's claim, its signature and its request.
 */
export async function measureLatency(
  resources: AsyncDisposableStack,
  emulator: EmulatorProcess,
  { rate, paced, rounds }: LatencyOptions,
): Promise<{ p50Ms: number; p99Ms: number }> {
  const { control } = emulator
  await using processes = resources.use(new AsyncDisposableStack())
  const sessions = Math.min(SESSIONS, paced)
  const each = Math.ceil(paced / sessions)
  progress(`latency: linking ${sessions} numbers`)
  const receiver = await startWebhookReceiver(processes)
  const side = await openFrontdeskSide(processes, emulator, 4_915_300_000_000, sessions, {
    environment: LOOPBACK_ALLOWED,
  })
  await establishChats(control, side, CUSTOMERS)
  const { url, arrivedAtMs } = receiver.open()
  for (const phone of side.phones) {
    await side.call(phone, 'POST', '/v1/webhook-endpoints', { url, eventTypes: ['message.received'] })
  }
  const measured: { p50Ms: number; p99Ms: number }[] = []
  // A first round warms up and does not count.
  for (let number = 0; number <= rounds; number++) {
    await control.prepareBurst({ to: [...side.phones], customers: CUSTOMERS, each })
    const sent = await control.fireBurst({ perSecond: rate })
    await until('all paced messages have arrived', () => sent.every(({ id }) => arrivedAtMs.has(id)))
    const delays = sent.map(({ id, atMs }) => (arrivedAtMs.get(id) ?? Number.NaN) - atMs)
    const [p50Ms, p99Ms] = [percentile(delays, 0.5), percentile(delays, 0.99)]
    progress(`latency, round ${number}: ${round(p50Ms, 1)} ms (p50), ${round(p99Ms, 1)} ms (p99)`)
    if (number > 0) measured.push({ p50Ms, p99Ms })
  }
  const medianOf = (figure: 'p50Ms' | 'p99Ms') => median(measured.map((one) => one[figure]))
  return { p50Ms: medianOf('p50Ms'), p99Ms: medianOf('p99Ms') }
}
