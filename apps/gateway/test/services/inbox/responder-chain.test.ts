import { type ResponderSettings, responderRequest } from '@frontdesk/api-contract'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { newSecret } from '#src/services/webhooks/webhook-secrets.ts'
import { createTestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { json, startCompanySystem, status, texts } from '../responders/company-system.ts'
import { openDesk, setSettings } from '../support/desk.ts'
import { createContact, readOutbound, readTurns, storeInbound } from '../support/messages.ts'
import { ScriptedConnection } from '../support/scripted-connection.ts'

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

const write = (...messages: string[]) => storeInbound(database, { companyId, sessionId, contactId }, messages)
const said = async () =>
  (await readOutbound(database, sessionId)).map(({ content }) => 'text' in content && content.text)
/** What became of so many turns, oldest first. */
const closedTurns = (count: number) =>
  until(async () => {
    const turns = await readTurns(database, sessionId)
    return turns.length === count && turns.every(({ state }) => state !== 'open') ? turns : undefined
  })
const traceOf = (turnId: string) =>
  database.worker.selectFrom('turn_trace').select('trace').where('turn_id', '=', turnId).executeTakeFirstOrThrow()
const conversation = () =>
  database.worker.selectFrom('conversation').selectAll().where('session_id', '=', sessionId).executeTakeFirstOrThrow()

const rules: ResponderSettings = { kind: 'rules', keywords: [{ any: ['price'], answer: 'It is 120 €.' }] }

test('rules pass, the system fails, other rules pass: the fallback is said, and the trace tells all of it', async () => {
  await using system = await startCompanySystem(status(500))
  const http: ResponderSettings = { kind: 'http', url: system.url, retries: 0 }
  await setSettings(database, companyId, { responders: [rules, http, { kind: 'rules' }], fallback: 'One moment.' })
  await using desk = openDesk(database)
  await desk.own(sessionId)
  desk.inbox.receive(sessionId, await write('Are you open?'))
  const [turn] = await closedTurns(1)
  expect(turn).toMatchObject({ state: 'answered', responder: 'rules', error_code: 'responder_failed' })
  expect(await said()).toEqual(['One moment.'])
  const { trace } = await traceOf(turn?.id ?? '')
  expect(trace).toMatchObject({
    ...{ guard: null, usedFallback: true, handoff: null },
    steps: [
      { responder: 'rules', outcome: 'passed' },
      { responder: 'http', outcome: 'failed', code: 'responder_failed', attempts: 1, detail: 'Status 500.' },
      { responder: 'rules', outcome: 'passed' },
    ],
  })

  // What the rules know, nobody else is asked.
  desk.inbox.receive(sessionId, await write('And the price?'))
  await closedTurns(2)
  expect(await said()).toEqual(['One moment.', 'It is 120 €.'])
  expect(system.calls).toHaveLength(1)
})

test('nobody after `none` is asked, and no fallback is said', async () => {
  await setSettings(database, companyId, { responders: [rules, { kind: 'none' }, rules], fallback: 'One moment.' })
  await using desk = openDesk(database)
  await desk.own(sessionId)
  desk.inbox.receive(sessionId, await write('Are you open?'))
  expect(await closedTurns(1)).toMatchObject([{ state: 'unanswered', responder: 'none', error_code: null }])
  expect(await said()).toEqual([])
})

test('a conversation can have responders of its own, while all others have those of the company', async () => {
  await setSettings(database, companyId, { responders: [rules] })
  await using desk = openDesk(database)
  await desk.own(sessionId)
  desk.inbox.receive(sessionId, await write('price?'))
  await closedTurns(1)
  const own: ResponderSettings[] = [{ kind: 'rules', keywords: [{ any: ['price'], answer: 'For you, 100 €.' }] }]
  await database.worker
    .updateTable('conversation')
    .set({ responders: JSON.stringify(own) })
    .where('session_id', '=', sessionId)
    .execute()
  desk.inbox.receive(sessionId, await write('price?'))
  await closedTurns(2)
  const regular = contactId
  contactId = await createContact(database, companyId)
  desk.inbox.receive(sessionId, await write('price?'))
  await closedTurns(3)
  const answers = await readOutbound(database, sessionId)
  expect(answers.map(({ contact_id, content }) => [contact_id, 'text' in content && content.text])).toEqual([
    [regular, 'It is 120 €.'],
    [regular, 'For you, 100 €.'],
    [contactId, 'It is 120 €.'],
  ])
})

test('labels and a handover of the company’s system arrive at the conversation, and the next request shows them', async () => {
  await using system = await startCompanySystem(
    json({ messages: [{ kind: 'text', text: 'Noted.' }], labels: ['wedding', 'vip'] }),
    json({
      messages: [{ kind: 'text', text: 'Lena takes over.' }],
      labels: ['vip', 'urgent'],
      handoff: { reason: 'wants a date' },
    }),
  )
  await setSettings(database, companyId, { responders: [{ kind: 'http', url: system.url }] })
  await using desk = openDesk(database)
  await desk.own(sessionId)
  desk.inbox.receive(sessionId, await write('It is for my wedding.'))
  await closedTurns(1)
  expect(await conversation()).toMatchObject({ state: 'bot', labels: ['wedding', 'vip'] })
  desk.inbox.receive(sessionId, await write('When can I come?'))
  const turns = await closedTurns(2)
  expect(await conversation()).toMatchObject({
    ...{ state: 'waiting', reason: 'responder', detail: 'wants a date', labels: ['wedding', 'vip', 'urgent'] },
  })
  expect((await traceOf(turns[1]?.id ?? '')).trace.handoff).toBe('wants a date')
  expect(await said()).toEqual(['Noted.', 'Lena takes over.'])
  const requests = system.calls.map(({ body }) => responderRequest.parse(body).conversation)
  expect(requests).toMatchObject([
    { labels: [], isFirst: true },
    { labels: ['wedding', 'vip'], isFirst: false },
  ])
})

test('a rule that hands over makes the customer wait for a person', async () => {
  const complaint: ResponderSettings = {
    kind: 'rules',
    keywords: [{ any: ['complaint'], answer: 'Lena takes care of it.', handoff: true }],
  }
  await setSettings(database, companyId, { responders: [complaint] })
  await using desk = openDesk(database)
  await desk.own(sessionId)
  desk.inbox.receive(sessionId, await write('I have a complaint'))
  await closedTurns(1)
  expect(await said()).toEqual(['Lena takes care of it.'])
  expect(await conversation()).toMatchObject({ state: 'waiting', reason: 'rule', detail: 'keywords[0]' })
})

test('the customer sees somebody typing before each message for as long as the company’s system says', async () => {
  const typed = (text: string, typingMs?: number) => ({
    kind: 'text',
    text,
    ...(typingMs !== undefined && { typingMs }),
  })
  await using system = await startCompanySystem(
    json({ messages: [typed('At once.', 0), typed('After a while.', 300), typed('As ever.')] }),
  )
  await setSettings(database, companyId, { responders: [{ kind: 'http', url: system.url }] })
  await using desk = openDesk(database)
  const lease = await desk.own(sessionId)
  const connection = new ScriptedConnection(database, sessionId)
  desk.outbox.online({ lease, store: connection.store }, connection, Promise.resolve())
  desk.inbox.receive(sessionId, await write('Hi!'))
  await until(() => connection.sends.length === 3)
  // Typing is off in this deployment, which the message says otherwise.
  expect(connection.typings).toMatchObject([{ after: 1 }])
  const typedMs = (connection.sentAtMs[1] ?? 0) - (connection.typings[0]?.atMs ?? 0)
  // A timer may fire up to a millisecond early.
  expect(typedMs).toBeGreaterThanOrEqual(299)
})

test('no secret and no header of the company’s stands in what is stored of a turn, also where a system gives it away', async () => {
  const secret = newSecret()
  await using system = await startCompanySystem(json({ handoff: { reason: `signed with ${secret}` } }))
  await setSettings(database, companyId, { responders: [{ kind: 'http', url: system.url, secret: 'answers' }] })
  await using desk = openDesk(database, { secret: async () => secret })
  await desk.own(sessionId)
  desk.inbox.receive(sessionId, await write('Hi!'))
  const [turn] = await closedTurns(1)
  expect(system.calls[0]?.headers['webhook-signature']).toMatch(/^v1,/)
  const row = JSON.stringify([await traceOf(turn?.id ?? ''), turn])
  expect(row).toContain('signed with [secret]')
  expect(row).not.toContain(secret)
  expect(row).not.toContain(String(system.calls[0]?.headers['webhook-signature']))
})

test('a secret that is not there: the next responder is asked, and the turn says so', async () => {
  await using system = await startCompanySystem(texts('Yes!'))
  await setSettings(database, companyId, {
    responders: [{ kind: 'http', url: system.url, secret: 'answers' }, rules],
    fallback: 'One moment.',
  })
  await using desk = openDesk(database)
  await desk.own(sessionId)
  desk.inbox.receive(sessionId, await write('Hi!'))
  expect(await closedTurns(1)).toMatchObject([{ state: 'answered', error_code: 'secret_missing' }])
  expect(await said()).toEqual(['One moment.'])
  expect(system.calls).toEqual([])
})
