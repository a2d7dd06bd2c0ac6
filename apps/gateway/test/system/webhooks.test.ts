import type { WebhookEndpointWithSecret } from '@frontdesk/api-contract'
import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import { type Received, startReceiver } from '../services/webhooks/receiver.ts'
import { until } from '../support/until.ts'
import { FrontDesk, SALON_PHONE } from './support/front-desk.ts'

const CUSTOMER = '491719990002'
const COUNT = 10

const textOf = ({ payload }: Received) => {
  const content = payload.message?.content
  return content?.kind === 'text' ? content.text : undefined
}

test('what customers write reaches the webhook, signed, through a kill -9 of the gateway', async () => {
  await using receiver = await startReceiver()
  await using desk = await FrontDesk.open({})
  const { secret } = await desk.call<WebhookEndpointWithSecret>('POST', '/v1/webhook-endpoints', {
    url: receiver.url,
    eventTypes: ['message.received'],
  })
  const texts = Array.from({ length: 2 * COUNT }, (_, n) => `message ${n}`)
  for (const text of texts.slice(0, COUNT)) await desk.emulator.sendText({ from: CUSTOMER, to: SALON_PHONE, text })
  // At once, before all outcomes are stored.
  await until(() => receiver.received.length === COUNT)
  await desk.kill()
  for (const text of texts.slice(COUNT)) await desk.emulator.sendText({ from: CUSTOMER, to: SALON_PHONE, text })
  await desk.restart()

  const arrived = () => new Set(receiver.received.map(textOf))
  await until(() => arrived().size === texts.length, { timeoutMs: 60_000, what: 'all have arrived' })
  expect(arrived()).toEqual(new Set(texts))
  for (const { body, headers } of receiver.received) new Webhook(secret).verify(body, headers)
})
