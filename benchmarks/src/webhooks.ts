import type { ServerResponse } from 'node:http'
import type { WebhookEndpointWithSecret } from '@frontdesk/api-contract'
import { establishChats } from './support/chats.ts'
import { startEmulatorProcess } from './support/emulator-process.ts'
import { openFrontdeskSide } from './support/frontdesk-side.ts'
import { progress, report } from './support/report.ts'
import { median, percentile, round } from './support/statistics.ts'
import { until } from './support/until.ts'
import { LOOPBACK_ALLOWED, startWebhookReceiver } from './support/webhook-receiver.ts'

const CUSTOMERS = 50
const HEALTHY = 8
const SLOW_MS = 2000
/** Nothing listens at this port: it needs rights that nobody has who measures. */
const DEAD_URL = 'http://127.0.0.1:1/'

export interface WebhooksOptions {
  /** In each round; each goes to ten endpoints. */
  messages: number
  /** Messages a second while the latency is measured. */
  rate: number
  rounds: number
}

/** How many webhooks are delivered, and whether endpoints that do well notice others that do not. */
export async function webhooks(resources: AsyncDisposableStack, options: WebhooksOptions): Promise<void> {
  const { messages, rate, rounds } = options
  const emulator = await startEmulatorProcess(resources)
  const { control } = emulator
  const receiver = await startWebhookReceiver(resources)
  const side = await openFrontdeskSide(resources, emulator, 4_915_100_000_000, 1, { environment: LOOPBACK_ALLOWED })
  const [phone = ''] = side.phones
  await establishChats(control, side, CUSTOMERS)
  const add = async (url: string) => {
    const body = { url, eventTypes: ['message.received'] }
    return (await side.call(phone, 'POST', '/v1/webhook-endpoints', body)) as WebhookEndpointWithSecret
  }
  const healthy = Array.from({ length: HEALTHY }, () => receiver.open())
  for (const { url } of healthy) await add(url)
  /** The other two, which are well or not. */
  const others = [receiver.open(), receiver.open()] as const
  const slow = receiver.open(answerLate)
  const ids = [(await add(others[0].url)).id, (await add(others[1].url)).id] as const
  const turn = async (urls: readonly [string, string]) => {
    for (const place of [0, 1] as const) {
      await side.call(phone, 'PATCH', `/v1/webhook-endpoints/${ids[place]}`, { url: urls[place] })
    }
  }

  const fire = async (pace?: { perSecond: number }) => {
    await control.prepareBurst({ to: [phone], customers: CUSTOMERS, each: messages })
    return control.fireBurst(pace)
  }
  const untilArrived = (sent: readonly { id: string }[], at: readonly { arrivedAtMs: Map<string, number> }[]) =>
    until('all webhooks have arrived', () => at.every(({ arrivedAtMs }) => sent.every(({ id }) => arrivedAtMs.has(id))))

  let paced: readonly { id: string }[] = []
  /** Nothing of what waited for the endpoints that were not well is left to disturb what is measured next. */
  const untilCaughtUp = () =>
    until('what had waited has arrived', () =>
      paced.every(
        ({ id }) => others[0].arrivedAtMs.has(id) && (others[1].arrivedAtMs.has(id) || slow.arrivedAtMs.has(id)),
      ),
    )

  const measureRate = async () => {
    const sent = await fire()
    const all = [...healthy, ...others]
    await untilArrived(sent, all)
    const begunAtMs = Math.min(...sent.map(({ atMs }) => atMs))
    const endedAtMs = Math.max(...all.flatMap(({ arrivedAtMs }) => sent.map(({ id }) => arrivedAtMs.get(id) ?? 0)))
    return ((sent.length * all.length) / (endedAtMs - begunAtMs)) * 1000
  }
  const measureHealthy = async () => {
    const sent = await fire({ perSecond: rate })
    await untilArrived(sent, healthy)
    paced = sent
    const delays = healthy.flatMap(({ arrivedAtMs }) => sent.map(({ id, atMs }) => (arrivedAtMs.get(id) ?? 0) - atMs))
    return percentile(delays, 0.99)
  }

  const rates: number[] = []
  const alone: number[] = []
  const beside: number[] = []
  // A first round warms up and does not count.
  for (let number = 0; number <= rounds; number++) {
    await turn([others[0].url, others[1].url])
    await untilCaughtUp()
    const perSecond = await measureRate()
    const aloneMs = await measureHealthy()
    await turn([DEAD_URL, slow.url])
    const besideMs = await measureHealthy()
    progress(
      `round ${number}: ${round(perSecond)} deliveries a second; p99 ${round(aloneMs, 1)} ms with all well, ${round(besideMs, 1)} ms beside a dead and a slow one`,
    )
    if (number === 0) continue
    rates.push(perSecond)
    alone.push(aloneMs)
    beside.push(besideMs)
  }
  report(
    `Webhooks: ${messages} messages, each for ten endpoints, medians of ${rounds} rounds`,
    [
      ['', 'all ten well', 'one dead, one slow'],
      ['sending to arrival at the eight others, p99, ms', median(alone).toFixed(1), median(beside).toFixed(1)],
    ],
    [`With all well, ${round(median(rates))} deliveries a second.`],
    {
      benchmark: 'webhooks',
      ...{ rounds, count: messages, rate },
      deliveriesPerSecond: round(median(rates), 1),
      healthyP99Ms: round(median(beside), 1),
      healthyP99AloneMs: round(median(alone), 1),
    },
  )
}

const answerLate = (response: ServerResponse): void => {
  const timer = setTimeout(() => response.writeHead(204).end(), SLOW_MS)
  response.once('close', () => clearTimeout(timer))
}
