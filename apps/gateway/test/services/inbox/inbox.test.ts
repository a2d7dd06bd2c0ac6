import { type ResponderSettings, responderRequest } from '@frontdesk/api-contract'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { connect, connectionConfig } from '#src/storage/connection.ts'
import { claimLease } from '../../support/claim-lease.ts'
import { createTestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { silence, startCompanySystem, status, texts } from '../responders/company-system.ts'
import { openDesk, setSettings } from '../support/desk.ts'
import { createContact, readEvents, readOutbound, readTurns, storeInbound } from '../support/messages.ts'

const testDatabase = await createTestDatabase()
const { database } = testDatabase
afterAll(() => testDatabase[Symbol.asyncDispose]())

let companyId: string
let sessionId: string
let contactId: string
beforeEach(async () => {
  companyId = await testDatabase.createCompany('Salon Margot')
  sessionId = await testDatabase.createSession(companyId, 'main')
  contactId = await createContact(database, companyId)
})

const place = () => ({ companyId, sessionId, contactId })
const textsOf = (messages: { content: { kind: string } }[]) =>
  messages.map(({ content }) => ('text' in content ? content.text : content.kind))
const closedTurns = async (count: number) =>
  until(async () => {
    const turns = await readTurns(database, sessionId)
    return turns.length >= count && turns.every(({ state }) => state !== 'open') ? turns : undefined
  })

const greeter: ResponderSettings = { kind: 'rules', keywords: [{ any: ['hi'], answer: 'Hello!' }] }

test('a burst becomes one turn with one answer, and everything that happened is an event', async () => {
  await setSettings(database, companyId, {
    responders: [
      {
        kind: 'rules',
        greeting: { keywords: ['hi'], answer: 'Hi! How can we help?', opening: 'Hi!' },
        faq: [{ question: 'Balayage?', keywords: ['balayage'], answer: 'Yes, we do balayage.' }],
        keywords: [{ any: ['how much'], answer: 'It is 120 €.' }],
      },
    ],
  })
  await using desk = openDesk(database)
  await desk.own(sessionId)
  const received = await storeInbound(database, place(), ['Hi!', 'do you do balayage?', 'and how much is it?'])
  for (const message of received) desk.inbox.receive(sessionId, [message])
  const [turn, ...others] = await closedTurns(1)
  expect(others).toEqual([])
  expect(turn).toMatchObject({ state: 'answered', responder: 'rules', error_code: null, contact_id: contactId })
  const answers = await readOutbound(database, sessionId)
  expect(textsOf(answers)).toEqual(['Hi! Yes, we do balayage. It is 120 €.'])
  expect(answers[0]).toMatchObject({ status: 'queued', turn_id: turn?.id, contact_id: contactId })
  expect(answers[0]?.whatsapp_id).toMatch(/^3EB0[0-9A-F]{18}$/)
  const taken = await database.worker
    .selectFrom('message')
    .select('id')
    .where('turn_id', '=', turn?.id ?? '')
    .execute()
  expect(new Set(taken.map(({ id }) => id))).toEqual(new Set([...received.map(({ id }) => id), answers[0]?.id]))
  expect(await readEvents(database, companyId)).toEqual([
    { type: 'turn.opened', subject_id: turn?.id, session_id: sessionId, data: { contactId } },
    {
      type: 'conversation.state_changed',
      subject_id: turn?.conversation_id,
      session_id: sessionId,
      data: { contactId, state: 'bot', reason: 'customer_wrote', assignee: null, returnsAt: null },
    },
    {
      type: 'turn.closed',
      subject_id: turn?.id,
      session_id: sessionId,
      data: { contactId, state: 'answered', responder: 'rules', code: null },
    },
    { type: 'message.queued', subject_id: answers[0]?.id, session_id: sessionId, data: { contactId } },
  ])
  await until(() => desk.inbox.busyChats === 0)
})

test('own messages, and those too old on arrival, are not answered', async () => {
  await setSettings(database, companyId, { responders: [greeter] })
  await using desk = openDesk(database)
  await desk.own(sessionId)
  const [own] = await storeInbound(database, place(), ['hi'], { isAnswerable: false })
  if (own) desk.inbox.receive(sessionId, [{ ...own, direction: 'outbound', origin: 'phone' }])
  const old = { sentAt: new Date(Date.now() - 25 * 3600 * 1000), isAnswerable: false }
  desk.inbox.receive(sessionId, await storeInbound(database, place(), ['hi'], old))
  expect(desk.inbox.busyChats).toBe(0)
  // A message that is answered shows that nothing before it was.
  desk.inbox.receive(sessionId, await storeInbound(database, place(), ['hi']))
  expect((await closedTurns(1)).length).toBe(1)
  expect((await readOutbound(database, sessionId)).length).toBe(1)
})

test('nobody answers for a company that has set no responder, and a responder set later leaves the old messages alone', async () => {
  await using desk = openDesk(database)
  await desk.own(sessionId)
  desk.inbox.receive(sessionId, await storeInbound(database, place(), ['hi']))
  expect(await closedTurns(1)).toMatchObject([{ state: 'unanswered', responder: 'none', error_code: null }])
  await setSettings(database, companyId, { responders: [greeter] })
  desk.inbox.settingsChanged(companyId)
  desk.inbox.receive(sessionId, await storeInbound(database, place(), ['hi again']))
  expect(await closedTurns(2)).toMatchObject([{ state: 'unanswered' }, { state: 'answered', responder: 'rules' }])
})

test('messages that come during a turn make the next one, in order, never two turns at once', async () => {
  const replies: (() => void)[] = []
  await using system = await startCompanySystem((response, call) => {
    replies.push(() => texts('Answer')(response, call))
  })
  await setSettings(database, companyId, { responders: [{ kind: 'http', url: system.url }] })
  await using desk = openDesk(database)
  await desk.own(sessionId)
  desk.inbox.receive(sessionId, await storeInbound(database, place(), ['one', 'two']))
  await until(() => replies.length === 1)
  desk.inbox.receive(sessionId, await storeInbound(database, place(), ['three']))
  desk.inbox.receive(sessionId, await storeInbound(database, place(), ['four']))
  // Another chat of the same session is not held up.
  const other = { ...place(), contactId: await createContact(database, companyId) }
  desk.inbox.receive(sessionId, await storeInbound(database, other, ['elsewhere']))
  await until(() => replies.length === 2)
  const bodies = () => system.calls.map(({ body }) => textsOf(responderRequest.parse(body).messages))
  expect(bodies()).toEqual([['one', 'two'], ['elsewhere']])
  replies[0]?.()
  await until(() => replies.length === 3)
  expect(bodies()[2]).toEqual(['three', 'four'])
  for (const reply of replies.slice(1)) reply()
  expect((await closedTurns(3)).length).toBe(3)
})

test('a burst over the limit of a turn goes on in further turns, without a gap and without a copy', async () => {
  await using system = await startCompanySystem(status(204))
  await setSettings(database, companyId, { responders: [{ kind: 'http', url: system.url }] })
  await using desk = openDesk(database)
  await desk.own(sessionId)
  const sent = Array.from({ length: 120 }, (_, number) => `message ${number}`)
  desk.inbox.receive(sessionId, await storeInbound(database, place(), sent))
  await until(async () => (await closedTurns(3)).length === 3)
  expect(system.calls.flatMap(({ body }) => textsOf(responderRequest.parse(body).messages))).toEqual(sent)
})

test.each([
  ['answers 500', status(500), 'responder_failed'],
  ['is silent', silence, 'responder_timed_out'],
])(
  "a company's system that %s: the turn bears the cause, and the customer gets the fallback",
  async (_, reply, code) => {
    await using system = await startCompanySystem(reply)
    const responder = { kind: 'http', url: system.url, retries: 0, timeoutMs: 100 } as const
    await setSettings(database, companyId, { responders: [responder], fallback: 'One moment.' })
    await using desk = openDesk(database)
    await desk.own(sessionId)
    desk.inbox.receive(sessionId, await storeInbound(database, place(), ['hi']))
    expect(await closedTurns(1)).toMatchObject([{ state: 'answered', responder: 'http', error_code: code }])
    expect(textsOf(await readOutbound(database, sessionId))).toEqual(['One moment.'])
    const events = await readEvents(database, companyId)
    expect(events.find(({ type }) => type === 'turn.closed')?.data).toMatchObject({ code })
  },
)

test('a company whose system is silent does not hold up another company', async () => {
  await using system = await startCompanySystem(silence)
  await setSettings(database, companyId, { responders: [{ kind: 'http', url: system.url }] })
  const fast = { companyId: await testDatabase.createCompany() }
  const fastPlace = {
    ...fast,
    sessionId: await testDatabase.createSession(fast.companyId),
    contactId: await createContact(database, fast.companyId),
  }
  await setSettings(database, fast.companyId, { responders: [greeter] })
  await using desk = openDesk(database)
  await desk.own(sessionId)
  await desk.own(fastPlace.sessionId)
  const contacts = await Promise.all(Array.from({ length: 80 }, () => createContact(database, companyId)))
  for (const each of contacts) {
    desk.inbox.receive(sessionId, await storeInbound(database, { ...place(), contactId: each }, ['hi']))
  }
  await until(() => system.calls.length >= 50)
  desk.inbox.receive(fastPlace.sessionId, await storeInbound(database, fastPlace, ['hi']))
  await until(async () => (await readOutbound(database, fastPlace.sessionId)).length === 1)
})

test('what a former owner has left is taken up: open turns under the same id, waiting messages as a burst', async () => {
  await using silent = await startCompanySystem(silence)
  await setSettings(database, companyId, { responders: [{ kind: 'http', url: silent.url }] })
  {
    await using desk = openDesk(database)
    await desk.own(sessionId)
    desk.inbox.receive(sessionId, await storeInbound(database, place(), ['one']))
    await until(() => silent.calls.length === 1)
    desk.inbox.receive(sessionId, await storeInbound(database, place(), ['two', 'three']))
  }
  const [left] = await readTurns(database, sessionId)
  expect(left?.state).toBe('open')
  await using system = await startCompanySystem(texts('Here I am.'))
  await setSettings(database, companyId, { responders: [{ kind: 'http', url: system.url }] })
  await using desk = openDesk(database)
  await desk.own(sessionId)
  const turns = await closedTurns(2)
  expect(turns.map(({ state }) => state)).toEqual(['answered', 'answered'])
  expect(system.calls.map(({ headers }) => headers['idempotency-key'])).toEqual(turns.map(({ id }) => id))
  expect(turns[0]?.id).toBe(left?.id)
  expect(system.calls.map(({ body }) => textsOf(responderRequest.parse(body).messages))).toEqual([
    ['one'],
    ['two', 'three'],
  ])
})

test('a message that comes while the work of a former owner is taken up is answered after it', async () => {
  await using silent = await startCompanySystem(silence)
  await setSettings(database, companyId, { responders: [{ kind: 'http', url: silent.url }], batching: { maxMs: 0 } })
  {
    await using desk = openDesk(database)
    await desk.own(sessionId)
    desk.inbox.receive(sessionId, await storeInbound(database, place(), ['one']))
    await until(() => silent.calls.length === 1)
  }
  await using system = await startCompanySystem(texts('Here I am.'))
  await setSettings(database, companyId, { responders: [{ kind: 'http', url: system.url }], batching: { maxMs: 0 } })
  await using desk = openDesk(database)
  const lease = await claimLease(database, newId(), sessionId)
  const late = await storeInbound(database, place(), ['two'])
  const owned = desk.inbox.owned({ lease })
  // The commit of the former owner's last flush is heard of only now.
  desk.inbox.receive(sessionId, late)
  await owned
  await closedTurns(2)
  expect(system.calls.map(({ body }) => textsOf(responderRequest.parse(body).messages))).toEqual([['one'], ['two']])
})

test('after days of silence the old messages are not answered any more, and the turn says why', async () => {
  await setSettings(database, companyId, { responders: [greeter] })
  await storeInbound(database, place(), ['hi'], { sentAt: new Date(Date.now() - 25 * 3600 * 1000) })
  await using desk = openDesk(database)
  await desk.own(sessionId)
  expect(await closedTurns(1)).toMatchObject([{ state: 'unanswered', responder: null, error_code: 'answer_too_late' }])
})

test('a process that has lost its lease answers nothing more', async () => {
  await using system = await startCompanySystem((response, call) => void take(response, call))
  const { promise, resolve } = Promise.withResolvers<void>()
  const take = async (...reply: Parameters<typeof silence>) => {
    await promise
    texts('Too late.')(...reply)
  }
  await setSettings(database, companyId, { responders: [{ kind: 'http', url: system.url }] })
  await using desk = openDesk(database)
  await desk.own(sessionId)
  desk.inbox.receive(sessionId, await storeInbound(database, place(), ['hi']))
  await until(() => system.calls.length === 1)
  await claimLease(database, newId(), sessionId)
  resolve()
  await until(() => desk.inbox.busyChats === 0)
  expect(await readTurns(database, sessionId)).toMatchObject([{ state: 'open' }])
  expect(await readOutbound(database, sessionId)).toEqual([])
})

test('a chat whose contact was merged while its messages waited is answered as the chat of the remaining contact', async () => {
  await setSettings(database, companyId, { responders: [greeter] })
  const survivor = await createContact(database, companyId)
  await using desk = openDesk(database)
  await desk.own(sessionId)
  const messages = await storeInbound(database, place(), ['hi'])
  await database.worker.updateTable('contact').set({ merged_into: survivor }).where('id', '=', contactId).execute()
  desk.inbox.receive(sessionId, messages)
  expect(await closedTurns(1)).toMatchObject([{ contact_id: survivor, state: 'answered' }])
  await until(() => desk.inbox.busyChats === 0)
})

test('a turn that was left open without a message does not hold up its chat', async () => {
  await setSettings(database, companyId, { responders: [greeter] })
  // As a merge of contacts leaves it that finds its message twice.
  const left = newId()
  await database.worker
    .insertInto('turn')
    .values({ id: left, company_id: companyId, session_id: sessionId, contact_id: contactId })
    .execute()
  await storeInbound(database, place(), ['hi'])
  await using desk = openDesk(database)
  await desk.own(sessionId)
  expect(await closedTurns(2)).toMatchObject([{ id: left, state: 'unanswered' }, { state: 'answered' }])
  expect(textsOf(await readOutbound(database, sessionId))).toEqual(['Hello!'])
})

test('more chats than are held in memory are all answered', async () => {
  await setSettings(database, companyId, { responders: [greeter] })
  await using desk = openDesk(database, { maxChatsPerSession: 3 })
  const write = async () => {
    const other = { ...place(), contactId: await createContact(database, companyId) }
    return storeInbound(database, other, ['hi'])
  }
  for (let count = 0; count < 5; count += 1) await write()
  await desk.own(sessionId)
  for (let count = 0; count < 5; count += 1) {
    desk.inbox.receive(sessionId, await write())
    expect(desk.inbox.busyChats).toBeLessThanOrEqual(3)
  }
  await until(async () => (await readOutbound(database, sessionId)).length === 10)
  expect(new Set((await readTurns(database, sessionId)).map(({ contact_id }) => contact_id)).size).toBe(10)
})

test('a turn survives a database that breaks all connections meanwhile', async () => {
  const { promise: mayAnswer, resolve: answerNow } = Promise.withResolvers<void>()
  await using system = await startCompanySystem((response, call) => {
    void mayAnswer.then(() => texts('Here I am.')(response, call))
  })
  await setSettings(database, companyId, { responders: [{ kind: 'http', url: system.url }] })
  await using desk = openDesk(database)
  await desk.own(sessionId)
  desk.inbox.receive(sessionId, await storeInbound(database, place(), ['hi']))
  await until(() => system.calls.length === 1)
  const owner = await connect(connectionConfig(testDatabase.url))
  await owner.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
  )
  await owner.end()
  answerNow()
  await until(async () => (await readTurns(database, sessionId).catch(() => []))[0]?.state === 'answered')
  expect(textsOf(await readOutbound(database, sessionId))).toEqual(['Here I am.'])
  expect(system.calls.length).toBe(1)
})

test('an answer that the database refuses ends its turn with an error, and the chat goes on', async () => {
  const owner = await connect(connectionConfig(testDatabase.url))
  await owner.query(`alter table message add constraint refused check (content ->> 'text' <> 'Refused.') not valid`)
  await owner.end()
  await setSettings(database, companyId, {
    responders: [{ kind: 'rules', keywords: [{ any: ['bad'], answer: 'Refused.' }] }],
    fallback: 'Fine.',
  })
  await using desk = openDesk(database)
  await desk.own(sessionId)
  desk.inbox.receive(sessionId, await storeInbound(database, place(), ['bad']))
  expect(await closedTurns(1)).toMatchObject([{ state: 'unanswered', responder: 'rules', error_code: 'internal' }])
  desk.inbox.receive(sessionId, await storeInbound(database, place(), ['good']))
  await closedTurns(2)
  expect(textsOf(await readOutbound(database, sessionId))).toEqual(['Fine.'])
})

test('a burst is over with as many messages as one answer may take, without waiting for quiet', async () => {
  await setSettings(database, companyId, {
    responders: [{ kind: 'rules' }],
    fallback: 'Thank you!',
    batching: { quietMs: 60_000, maxMs: 60_000, maxMessages: 2 },
  })
  await using desk = openDesk(database)
  await desk.own(sessionId)
  for (const text of ['one', 'two', 'three', 'four']) {
    desk.inbox.receive(sessionId, await storeInbound(database, place(), [text]))
  }
  await closedTurns(2)
  expect((await readOutbound(database, sessionId)).length).toBe(2)
})

test('a customer who is writing the next message is waited for, up to the cap', async () => {
  await setSettings(database, companyId, {
    responders: [{ kind: 'rules' }],
    fallback: 'Thank you!',
    batching: { quietMs: 1, maxMs: 60_000 },
  })
  await using desk = openDesk(database)
  await desk.own(sessionId)
  const [first] = await storeInbound(database, place(), ['one'])
  if (first === undefined) throw new Error('Nothing was stored.')
  // In one go: the batch cannot end in between.
  desk.inbox.receive(sessionId, [first])
  desk.inbox.typing(sessionId, contactId, true)
  // Another chat, whose burst began later, is answered meanwhile.
  const other = { ...place(), contactId: await createContact(database, companyId) }
  desk.inbox.receive(sessionId, await storeInbound(database, other, ['elsewhere']))
  expect(await closedTurns(1)).toMatchObject([{ contact_id: other.contactId }])
  desk.inbox.typing(sessionId, contactId, false)
  const [, turn, ...others] = await closedTurns(2)
  expect(turn).toMatchObject({ contact_id: contactId })
  expect(others).toEqual([])
})

test('the message that the customer was writing ends the waiting for it: the answer comes when all is quiet', async () => {
  await setSettings(database, companyId, {
    responders: [{ kind: 'rules' }],
    fallback: 'Thank you!',
    // Longer than this test may take.
    batching: { quietMs: 100, maxMs: 60_000 },
  })
  await using desk = openDesk(database)
  await desk.own(sessionId)
  desk.inbox.receive(sessionId, await storeInbound(database, place(), ['one']))
  desk.inbox.typing(sessionId, contactId, true)
  desk.inbox.receive(sessionId, await storeInbound(database, place(), ['two']))
  expect(await closedTurns(1)).toMatchObject([{ contact_id: contactId }])
})

test('a burst keeps its deadline over a restart: what its first message has waited counts', async () => {
  await setSettings(database, companyId, {
    responders: [{ kind: 'rules' }],
    fallback: 'Thank you!',
    batching: { quietMs: 60_000, maxMs: 60_000 },
  })
  await storeInbound(database, place(), ['one'], { sentAt: new Date(Date.now() - 61_000) })
  await storeInbound(database, place(), ['two'])
  await using desk = openDesk(database)
  await desk.own(sessionId)
  await closedTurns(1)
  const taken = database.worker.selectFrom('message').select('id').where('session_id', '=', sessionId)
  expect(await taken.where('turn_id', 'is not', null).where('direction', '=', 'inbound').execute()).toHaveLength(2)
})
