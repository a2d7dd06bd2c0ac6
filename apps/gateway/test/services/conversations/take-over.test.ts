import type { CompanySettings } from '@frontdesk/api-contract'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import type { ReceivedMessage } from '#src/model/session-store.ts'
import { newWhatsAppId } from '#src/model/whatsapp-id.ts'
import { ConversationSweep } from '#src/services/conversations/conversation-sweep.ts'
import { Conversations } from '#src/services/conversations/conversations.ts'
import { returnConversations } from '#src/storage/conversations.ts'
import { createTestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { startCompanySystem, texts } from '../responders/company-system.ts'
import { type Desk, log, openDesk, setSettings } from '../support/desk.ts'
import { createContact, randomPhone, readEvents, readOutbound, readTurns, storeInbound } from '../support/messages.ts'

const testDatabase = await createTestDatabase()
const { database } = testDatabase
afterAll(() => testDatabase[Symbol.asyncDispose]())

const MINUTE_MS = 60_000
const PAUSE_MS = 30 * MINUTE_MS

let companyId: string
let sessionId: string
let contactId: string
beforeEach(async () => {
  companyId = await testDatabase.createCompany('Salon Margot')
  sessionId = await testDatabase.createSession(companyId, 'main')
  contactId = await createContact(database, companyId)
})

/** As the writer commits what somebody writes on the phone. The history that the phone hands over has no stanza. */
async function writeOnPhone(
  changes: { sentAt?: Date; isHistory?: boolean; content?: ReceivedMessage['content'] } = {},
): Promise<ReceivedMessage> {
  const { sentAt = new Date(), isHistory = false, content = { kind: 'text', text: 'Margot here.' } } = changes
  const message: ReceivedMessage = {
    ...{ id: newId(), contactId, direction: 'outbound', origin: 'phone', whatsappId: newWhatsAppId(), content, sentAt },
    ...{ ciphertextHash: null, raw: null, isOffline: false, envelope: isHistory ? {} : { id: '1' } },
    ...(isHistory && { isHistory }),
  }
  await database.worker
    .insertInto('message')
    .values({
      ...{ id: message.id, company_id: companyId, session_id: sessionId, contact_id: contactId },
      ...{ direction: 'outbound', origin: 'phone', whatsapp_id: message.whatsappId, status: 'sent' },
      ...{ content: JSON.stringify(content), envelope: JSON.stringify(message.envelope), sent_at: sentAt },
    })
    .execute()
  return message
}

const receive = async (desk: Desk, ...messages: string[]) =>
  desk.inbox.receive(sessionId, await storeInbound(database, { companyId, sessionId, contactId }, messages))
const readConversation = () =>
  database.worker.selectFrom('conversation').selectAll().where('session_id', '=', sessionId).executeTakeFirst()
const closedTurns = (count: number) =>
  until(async () => {
    const turns = await readTurns(database, sessionId)
    return turns.length >= count && turns.every(({ state }) => state !== 'open') ? turns : undefined
  })
const stateChanges = async () =>
  (await readEvents(database, companyId)).filter(({ type }) => type === 'conversation.state_changed')
const answering = () => setSettings(database, companyId, { responders: [{ kind: 'rules' }], fallback: 'Thank you!' })

describe('a message that somebody writes on the phone', () => {
  test('makes the conversation theirs, until the pause after it is over', async () => {
    const sentAt = new Date(Date.now() - MINUTE_MS)
    await writeOnPhone({ sentAt })
    const returnsAt = new Date(sentAt.getTime() + PAUSE_MS)
    expect(await readConversation()).toMatchObject({
      ...{ state: 'human', reason: 'written_on_phone', assignee: null, contact_id: contactId, returns_at: returnsAt },
    })
    expect(await stateChanges()).toMatchObject([
      { data: { contactId, state: 'human', reason: 'written_on_phone', returnsAt: returnsAt.toISOString() } },
    ])
    await answering()
    await using desk = openDesk(database)
    await desk.own(sessionId)
    await receive(desk, 'hi')
    expect(await closedTurns(1)).toMatchObject([{ state: 'unanswered', error_code: 'conversation_with_person' }])
    expect((await readOutbound(database, sessionId)).length).toBe(1)
  })

  test('prolongs the pause, and no older one cuts it short', async () => {
    await setSettings(database, companyId, { handoff: { pauseMs: 120 * MINUTE_MS } })
    const [first, second] = [new Date(Date.now() - 60 * MINUTE_MS), new Date(Date.now() - 10 * MINUTE_MS)]
    await writeOnPhone({ sentAt: first })
    await writeOnPhone({ sentAt: second })
    await writeOnPhone({ sentAt: first })
    expect((await readConversation())?.returns_at).toEqual(new Date(second.getTime() + 120 * MINUTE_MS))
    expect((await stateChanges()).length).toBe(1)
  })

  test('changes nothing when its pause was over before it arrived, or when it is history, or only a reaction', async () => {
    await writeOnPhone({ sentAt: new Date(Date.now() - PAUSE_MS - 1000) })
    await writeOnPhone({ isHistory: true })
    await writeOnPhone({ content: { kind: 'unsupported', whatsappType: 'reactionMessage' } })
    expect(await readConversation()).toBe(undefined)
  })

  test('keeps an answer back that is just being made, and calls off whoever makes it', async () => {
    await using system = await startCompanySystem(() => undefined)
    await setSettings(database, companyId, { responders: [{ kind: 'http', url: system.url }] })
    await using desk = openDesk(database)
    await desk.own(sessionId)
    await receive(desk, 'hi')
    await until(() => system.calls.length === 1)
    desk.inbox.receive(sessionId, [await writeOnPhone()])
    // The company's system never answers.
    expect(await closedTurns(1)).toMatchObject([{ state: 'unanswered', error_code: 'conversation_with_person' }])
    expect((await readOutbound(database, sessionId)).map(({ status }) => status)).toEqual(['sent'])
  })

  test('keeps an answer back also when nobody has told the process that makes it', async () => {
    const { promise: mayAnswer, resolve: answerNow } = Promise.withResolvers<void>()
    await using system = await startCompanySystem((response, call) => {
      void mayAnswer.then(() => texts('Too late.')(response, call))
    })
    await setSettings(database, companyId, { responders: [{ kind: 'http', url: system.url }] })
    await using desk = openDesk(database)
    await desk.own(sessionId)
    await receive(desk, 'hi')
    await until(() => system.calls.length === 1)
    await writeOnPhone()
    answerNow()
    expect(await closedTurns(1)).toMatchObject([{ state: 'unanswered', error_code: 'conversation_with_person' }])
    expect((await readOutbound(database, sessionId)).length).toBe(1)
  })

  test('takes back what of the bot waits to be sent, and nothing else', async () => {
    await answering()
    await using desk = openDesk(database)
    await desk.own(sessionId)
    await receive(desk, 'hi')
    await closedTurns(1)
    const content = { kind: 'text', text: 'Your appointment is tomorrow.' } as const
    await desk.intake.accept(companyId, { sessionId, to: { contactId }, content, requestHash: new Uint8Array(32) })
    await writeOnPhone()
    expect(await readOutbound(database, sessionId)).toMatchObject([
      { status: 'failed', error_code: 'conversation_with_person', content: { text: 'Thank you!' } },
      { status: 'queued', content },
      { status: 'sent' },
    ])
    const changes = (await readEvents(database, companyId)).filter(({ type }) => type === 'message.status_changed')
    expect(changes).toMatchObject([{ data: { status: 'failed', code: 'conversation_with_person' } }])
  })
})

describe('a message of an agent', () => {
  const write = (desk: Desk, agent: string, to: { phone: string } | { contactId: string } = { contactId }) =>
    desk.intake.accept(companyId, {
      ...{ sessionId, to, agent, requestHash: new Uint8Array(32) },
      content: { kind: 'text', text: 'Lena here.' },
    })

  test('makes the conversation theirs, in the commit of the message', async () => {
    await using desk = openDesk(database)
    await write(desk, 'Lena')
    expect(await readConversation()).toMatchObject({ state: 'human', reason: 'written_by_agent', assignee: 'Lena' })
    await write(desk, 'Ben')
    expect(await readConversation()).toMatchObject({ state: 'human', assignee: 'Ben' })
    expect((await readEvents(database, companyId)).map(({ type }) => type)).toEqual([
      ...['message.queued', 'conversation.state_changed', 'message.queued', 'conversation.updated'],
    ])
  })

  test('does so also with a contact that is new, and calls the bot off', async () => {
    await using system = await startCompanySystem(() => undefined)
    await setSettings(database, companyId, { responders: [{ kind: 'http', url: system.url }] })
    await using desk = openDesk(database)
    await desk.own(sessionId)
    await receive(desk, 'hi')
    await until(() => system.calls.length === 1)
    await write(desk, 'Lena')
    expect(await closedTurns(1)).toMatchObject([{ state: 'unanswered', error_code: 'conversation_with_person' }])
    await write(desk, 'Lena', { phone: '4917612345670' })
    const assigned = database.worker.selectFrom('conversation').select('contact_id').where('assignee', '=', 'Lena')
    expect((await assigned.where('company_id', '=', companyId).execute()).length).toBe(2)
  })
})

describe('a conversation goes back to the bot', () => {
  test('when the customer writes after the pause; what was written meanwhile stays unanswered', async () => {
    await answering()
    await using desk = openDesk(database)
    await desk.own(sessionId)
    await writeOnPhone()
    await receive(desk, 'are you there?')
    await closedTurns(1)
    await database.worker
      .updateTable('conversation')
      .set({ returns_at: new Date(Date.now() - 1000) })
      .where('session_id', '=', sessionId)
      .execute()
    await receive(desk, 'hello?')
    expect(await closedTurns(2)).toMatchObject([{ state: 'unanswered' }, { state: 'answered' }])
    expect(await readConversation()).toMatchObject({ state: 'bot', reason: 'timed_out', returns_at: null })
  })

  test('by itself, with the event, and the bot says nothing of its own accord', async () => {
    await answering()
    await using desk = openDesk(database)
    await desk.own(sessionId)
    await writeOnPhone()
    await receive(desk, 'are you there?')
    await closedTurns(1)
    await returnConversations(database.worker, { now: new Date(Date.now() + PAUSE_MS), limit: 10 })
    expect(await readConversation()).toMatchObject({ state: 'bot', reason: 'timed_out' })
    expect((await stateChanges()).at(-1)?.data).toMatchObject({ state: 'bot', reason: 'timed_out', returnsAt: null })
    expect((await readOutbound(database, sessionId)).length).toBe(1)
  })

  test('within seconds, by the sweep of any process', async () => {
    await writeOnPhone()
    const past = { returns_at: new Date(Date.now() - 1000) }
    await database.worker.updateTable('conversation').set(past).where('session_id', '=', sessionId).execute()
    await using _sweep = new ConversationSweep({ database, log })
    await until(async () => (await readConversation())?.state === 'bot')
  })

  test('once, by however many processes', async () => {
    await writeOnPhone()
    const sweep = () => returnConversations(database.worker, { now: new Date(Date.now() + PAUSE_MS), limit: 10 })
    const counts = await Promise.all([sweep(), sweep(), sweep()])
    expect(counts.toSorted((one, other) => one - other)).toEqual([0, 0, 1])
  })
})

test('words for a human: the customer is told, the conversation waits, and the bot is silent until it is given back', async () => {
  await setSettings(database, companyId, {
    ...{ responders: [{ kind: 'rules' }], fallback: 'Thank you!' },
    handoff: { words: ['human'], text: 'One moment, please.' },
  })
  await using desk = openDesk(database)
  await desk.own(sessionId)
  await receive(desk, 'I want a human')
  await closedTurns(1)
  expect(await readConversation()).toMatchObject({ state: 'waiting', reason: 'customer_asked' })
  await receive(desk, 'hello?')
  await closedTurns(2)
  const { id } = (await readConversation()) ?? { id: '' }
  const conversations = new Conversations({ database, onTakenOver: () => undefined })
  await conversations.update(companyId, id, { state: 'bot' }, { apiKeyId: null })
  await receive(desk, 'thanks')
  await closedTurns(3)
  const sent = (await readOutbound(database, sessionId)).map(({ content }) => content)
  expect(sent).toEqual([
    { kind: 'text', text: 'One moment, please.' },
    { kind: 'text', text: 'Thank you!' },
  ])
})

test('a loop with another bot ends: a person is to look, an alert says so, and is cleared when it goes back', async () => {
  await answering()
  await using desk = openDesk(database)
  await desk.own(sessionId)
  const alerts = () =>
    database.worker
      .selectFrom('alert')
      .select(['kind', 'cleared_at', 'conversation_id'])
      .where('company_id', '=', companyId)
      .execute()
  for (let turns = 1; turns <= 7; turns += 1) {
    await receive(desk, 'We are closed. Please call tomorrow.')
    await closedTurns(turns)
  }
  const conversation = await readConversation()
  expect(conversation).toMatchObject({ state: 'waiting', reason: 'loop_suspected' })
  expect(await alerts()).toEqual([{ kind: 'conversation_loop', cleared_at: null, conversation_id: conversation?.id }])
  await returnConversations(database.worker, { now: new Date(Date.now() + 61 * MINUTE_MS), limit: 10 })
  expect(await alerts()).toMatchObject([{ kind: 'conversation_loop', cleared_at: expect.any(Date) }])
  const told = (await readEvents(database, companyId)).filter(({ type }) => type.startsWith('alert.'))
  expect(told.map(({ type }) => type)).toEqual(['alert.raised', 'alert.cleared'])
})

test('two companies that the same person writes to: what happens in one does not show in the other', async () => {
  const phone = randomPhone()
  const open = async (name: string, settings: CompanySettings) => {
    const company = await testDatabase.createCompany(name)
    const place = {
      companyId: company,
      sessionId: await testDatabase.createSession(company),
      contactId: await createContact(database, company, phone),
    }
    await setSettings(database, company, settings)
    return place
  }
  await using system = await startCompanySystem(texts('From the dentist.'))
  const responders = [{ kind: 'http' as const, url: system.url }]
  const salon = await open('Salon', { handoff: { words: ['human'] }, ignore: [phone] })
  const dentist = await open('Dentist', { responders })
  await using desk = openDesk(database)
  await desk.own(salon.sessionId)
  await desk.own(dentist.sessionId)
  const content = { kind: 'text', text: 'Lena here.' } as const
  const request = { to: { phone }, content, agent: 'Lena', requestHash: new Uint8Array(32) }
  await desk.intake.accept(salon.companyId, { ...request, sessionId: salon.sessionId })
  for (const place of [salon, dentist]) {
    desk.inbox.receive(place.sessionId, await storeInbound(database, place, ['a human, please']))
  }
  const answered = await until(async () => {
    const turns = [...(await readTurns(database, salon.sessionId)), ...(await readTurns(database, dentist.sessionId))]
    return turns.length === 2 && turns.every(({ state }) => state !== 'open') ? turns : undefined
  })
  expect(answered.map(({ state, error_code }) => [state, error_code])).toEqual([
    ['unanswered', 'conversation_with_person'],
    ['answered', null],
  ])
  expect(JSON.stringify(system.calls)).not.toMatch(/Salon|Lena/)
  const states = database.worker.selectFrom('conversation').select(['company_id', 'state', 'assignee'])
  expect(await states.where('company_id', '=', dentist.companyId).execute()).toEqual([
    { company_id: dentist.companyId, state: 'bot', assignee: null },
  ])
})
