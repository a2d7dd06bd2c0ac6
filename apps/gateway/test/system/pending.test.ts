import type { EventList, MessageContact, MessageResource } from '@frontdesk/api-contract'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../support/until.ts'
import { FrontDesk, SALON_PHONE } from './support/front-desk.ts'

let desk: FrontDesk
beforeAll(async () => {
  desk = await FrontDesk.open({
    batching: { quietMs: 300, maxMs: 2000 },
    responders: [{ kind: 'rules' }],
    fallback: 'Thank you!',
  })
})
afterAll(() => desk[Symbol.asyncDispose]())

const messageOf = async (whatsappId: string) => (await desk.messages()).find((each) => each.whatsappId === whatsappId)
const eventsAbout = async (id: string) => {
  const { items } = await desk.call<EventList>('GET', '/v1/events?limit=1000')
  return items.filter(({ subjectId }) => subjectId === id).map(({ type }) => type)
}
const isAnswered = async (customer: string, ids: readonly string[]) => {
  const messages = (await desk.messages()).filter(({ contact }) => contact.phone === customer)
  const turns = ids.map((id) => messages.find(({ whatsappId }) => whatsappId === id)?.turnId)
  const answers = messages.filter(({ origin, status }) => origin === 'responder' && status === 'read')
  return turns.every((turn) => turn != null && answers.some(({ turnId }) => turnId === turn)) ? messages : undefined
}

test('kill -9 while a message is pending: the same row gets its content, and only then its one answer', async () => {
  const { emulator } = desk
  const customer = '491719990101'
  await emulator.fault({ kind: 'unavailable_messages', phone: SALON_PHONE, count: 1 })
  const { id } = await emulator.sendText({ from: customer, to: SALON_PHONE, text: 'Are you open?' })
  const pending = await until(() => messageOf(id), { what: 'the pending message is shown' })
  // The phone is asked two seconds later: the process is gone by then.
  await desk.kill()
  expect(pending).toMatchObject({ content: { kind: 'pending', reason: 'unavailable' }, turnId: null })
  expect(await desk.displayed(customer)).toEqual([])

  await desk.restart()
  const messages = await until(() => isAnswered(customer, [id]), { what: 'it is answered', timeoutMs: 60_000 })
  expect(messages.filter(({ direction }) => direction === 'inbound')).toMatchObject([
    { id: pending.id, content: { kind: 'text', text: 'Are you open?' }, createdAt: pending.createdAt },
  ])
  expect(await desk.displayed(customer)).toEqual(['Thank you!'])
  expect(await eventsAbout(pending.id)).toEqual(['message.received', 'message.resolved'])
})

test('a customer who writes by number, by LID, and by both at once has one conversation', async () => {
  const { emulator } = desk
  const customer = '491719990102'
  const write = async (text: string, addressing: 'pn' | 'lid') =>
    (await emulator.sendText({ from: customer, to: SALON_PHONE, text, addressing })).id
  const ids = [await write('by number', 'pn')]
  await until(() => isAnswered(customer, ids), { what: 'the first is answered' })
  ids.push(await write('by LID', 'lid'))
  await until(() => isAnswered(customer, ids), { what: 'the second is answered' })
  ids.push(...(await Promise.all([write('one', 'pn'), write('two', 'lid'), write('three', 'pn')])))
  const messages = await until(() => isAnswered(customer, ids), { what: 'all are answered' })

  const ofTurn = Map.groupBy(messages, ({ turnId }) => turnId)
  // What was written at once is one burst.
  const last = messages.find(({ whatsappId }) => whatsappId === ids.at(-1))?.turnId ?? null
  expect(ofTurn.size).toBe(3)
  expect(ofTurn.get(last)?.map(({ direction }: MessageResource) => direction)).toEqual([
    'inbound',
    'inbound',
    'inbound',
    'outbound',
  ])
  expect(await desk.displayed(customer)).toEqual(['Thank you!', 'Thank you!', 'Thank you!'])
  const [contactId, ...others] = new Set(messages.map(({ contact }) => contact.id))
  expect(others).toEqual([])
  const contact = await desk.call<MessageContact>('GET', `/v1/contacts/${contactId}`)
  const { lid } = (await emulator.phones()).find(({ phone }) => phone === customer) ?? {}
  expect(contact).toMatchObject({ phone: customer, lid: lid?.split('@')[0] })
})
