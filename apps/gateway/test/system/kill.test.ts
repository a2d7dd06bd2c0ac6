import { setTimeout as delay } from 'node:timers/promises'
import type { MessageResource } from '@frontdesk/api-contract'
import { expect, test } from 'vitest'
import { until } from '../support/until.ts'
import { FrontDesk, SALON_PHONE } from './support/front-desk.ts'

const CUSTOMERS = 10

/** A moment in the middle of something that takes about `spanMs`; another one each time. */
const sometimeWithin = (spanMs: number) => delay(spanMs * (0.1 + 0.8 * Math.random()))

test('kill -9 in a burst of 500 inbound messages: each is in the inbox once, each answer displayed once', async () => {
  await using desk = await FrontDesk.open({
    batching: { quietMs: 300, maxMs: 2000 },
    responders: [{ kind: 'rules' }],
    fallback: 'Thank you!',
  })
  const { emulator } = desk
  await emulator.prepareBurst({ to: [SALON_PHONE], customers: CUSTOMERS, each: 500 })
  const firing = emulator.fireBurst({ perSecond: 250 })
  await sometimeWithin(2000)
  await desk.kill()
  await desk.restart()
  const sent = await firing
  await until(async () => (await emulator.pending()) === 0, { what: 'WhatsApp has handed over all', timeoutMs: 90_000 })
  const messages = await until(() => settled(desk), { what: 'every burst is answered and read', timeoutMs: 90_000 })

  const inbound = messages.filter(({ direction }) => direction === 'inbound')
  expect(inbound.map(({ whatsappId }) => whatsappId).toSorted()).toEqual(sent.map(({ id }) => id).toSorted())
  for (const customer of new Set(sent.map(({ from }) => from))) {
    const answers = messages.filter(({ direction, contact }) => direction === 'outbound' && contact.phone === customer)
    const turns = new Set(inbound.filter(({ contact }) => contact.phone === customer).map(({ turnId }) => turnId))
    expect(new Set(answers.map(({ turnId }) => turnId))).toEqual(turns)
    expect(answers).toHaveLength(turns.size)
    expect(await desk.displayed(customer)).toHaveLength(answers.length)
  }
  expect(await emulator.counters()).toMatchObject({ decryptFailures: 0, retryReceipts: 0 })
})

test('kill -9 in a burst of 200 outbound messages: each is displayed once, in the order of its chat', async () => {
  await using desk = await FrontDesk.open({ responders: [{ kind: 'none' }] })
  const customers = Array.from({ length: CUSTOMERS }, (_, index) => `4917200000${String(index).padStart(2, '0')}`)
  const expected = customers.map((_, customer) => Array.from({ length: 20 }, (_, index) => `${customer}/${index}`))

  /** As an integrator does it: one after the other in a chat, again with the same key when there is no answer. */
  const writeTo = async (customer: number) => {
    for (const text of expected[customer] ?? []) {
      const body = { sessionId: desk.session.id, to: customers[customer], content: { kind: 'text', text } }
      await until(() => desk.call('POST', '/v1/messages', body, { 'idempotency-key': text }).catch(() => undefined), {
        what: 'the message is accepted',
        timeoutMs: 90_000,
      })
    }
  }
  const writing = Promise.all(customers.map((_, customer) => writeTo(customer)))
  await sometimeWithin(600)
  await desk.kill()
  await desk.restart()
  await writing
  await until(() => settled(desk), { what: 'every message is read', timeoutMs: 90_000 })

  expect(await Promise.all(customers.map((customer) => desk.displayed(customer)))).toEqual(expected)
  expect(await desk.messages()).toHaveLength(200)
  expect(await desk.emulator.counters()).toMatchObject({ decryptFailures: 0, retryReceipts: 0 })
})

/** All messages, once each inbound one belongs to a turn and each outbound one is read. */
async function settled(desk: FrontDesk): Promise<MessageResource[] | undefined> {
  const messages = await desk.messages()
  const isDone = ({ direction, turnId, status }: MessageResource) =>
    direction === 'inbound' ? turnId !== null : status === 'read'
  const turns = new Set(messages.filter(({ direction }) => direction === 'inbound').map(({ turnId }) => turnId))
  const answered = new Set(messages.filter(({ origin }) => origin === 'responder').map(({ turnId }) => turnId))
  return messages.length > 0 && messages.every(isDone) && answered.size === turns.size ? messages : undefined
}
