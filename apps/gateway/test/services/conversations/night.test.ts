import type { CompanySettings } from '@frontdesk/api-contract'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { newWhatsAppId } from '#src/model/whatsapp-id.ts'
import { createTestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { type Desk, openDesk, setSettings } from '../support/desk.ts'
import { type Fault, openFaultyDatabase } from '../support/faulty-database.ts'
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

/** From an hour ago to some hours ahead, whatever the clock says. */
const quietNow = () => {
  const at = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString().slice(11, 16)
  return { timeZone: 'UTC', from: at(-1), to: at(6), text: 'We answer in the morning.' }
}
const settings = (): CompanySettings => ({
  responders: [
    {
      kind: 'rules',
      keywords: [
        { any: ['price'], answer: 'It is 120 €.' },
        { any: ['open'], answer: 'Until 6.' },
      ],
    },
  ],
  handoff: { words: ['human'], text: 'One moment, please.' },
  quietHours: quietNow(),
})
const receive = async (desk: Desk, text: string, of = contactId) =>
  desk.inbox.receive(sessionId, await storeInbound(database, { companyId, sessionId, contactId: of }, [text]))
const turnsOf = () => readTurns(database, sessionId)
const sent = async () =>
  (await readOutbound(database, sessionId)).map(({ content }) => ('text' in content ? content.text : ''))
/** What was held is due, or so soon. */
async function dawn(desk?: Desk, inMs = 0): Promise<void> {
  const { quietHours: _over, ...day } = settings()
  await setSettings(database, companyId, day)
  desk?.inbox.settingsChanged(companyId)
  const turns = database.worker.updateTable('turn').set({ held_until: new Date(Date.now() + inMs) })
  await turns.where('session_id', '=', sessionId).where('held_until', 'is not', null).execute()
}
const heldWith = (messages: number) =>
  until(async () => {
    const [turn] = await turnsOf()
    if (turn?.held_until == null) return undefined
    const rows = await database.worker
      .selectFrom('message')
      .select('id')
      .where('turn_id', '=', turn.id)
      .where('direction', '=', 'inbound')
      .execute()
    return rows.length === messages ? turn : undefined
  })

test('who writes at night is told once, and answered in the morning together with all that came meanwhile', async () => {
  await setSettings(database, companyId, settings())
  {
    await using desk = openDesk(database)
    await desk.own(sessionId)
    await receive(desk, 'what is the price?')
    await heldWith(1)
    // Nothing of it stays in memory.
    await until(() => desk.inbox.busyChats === 0)
    await receive(desk, 'and are you open?')
    await heldWith(2)
    await until(() => desk.inbox.busyChats === 0)
  }
  expect(await sent()).toEqual(['We answer in the morning.'])
  {
    // A restart changes nothing.
    await using desk = openDesk(database)
    await desk.own(sessionId)
    await receive(desk, 'thank you')
    await heldWith(3)
    expect(desk.inbox.busyChats).toBeLessThanOrEqual(1)
  }
  await dawn()
  await using desk = openDesk(database)
  await desk.own(sessionId)
  const [turn, ...others] = await until(async () => {
    const turns = await turnsOf()
    return turns.every(({ state }) => state === 'answered') ? turns : undefined
  })
  expect(others).toEqual([])
  expect(turn).toMatchObject({ held_until: null, responder: 'rules' })
  expect(await sent()).toEqual(['We answer in the morning.', 'It is 120 €. Until 6.'])
  const types = (await readEvents(database, companyId)).map(({ type }) => type)
  expect(types.filter((type) => type === 'turn.opened').length).toBe(1)
  expect(types).toContain('turn.held')
})

test('what is held is taken up when it is due, without anybody writing', async () => {
  await setSettings(database, companyId, settings())
  await using desk = openDesk(database)
  await desk.own(sessionId)
  await receive(desk, 'what is the price?')
  await heldWith(1)
  await until(() => desk.inbox.busyChats === 0)
  await dawn(desk, 500)
  await desk.own(sessionId)
  await until(async () => (await sent()).includes('It is 120 €.'))
})

test('of a flood at night a turn takes in as much as it may, and the rest is answered after it', async () => {
  await setSettings(database, companyId, settings())
  const flood = Array.from({ length: 230 }, (_, place) => `what is the price of ${place}?`)
  await storeInbound(database, { companyId, sessionId, contactId }, flood)
  await using desk = openDesk(database)
  await desk.own(sessionId)
  await heldWith(200)
  await until(() => desk.inbox.busyChats === 0)
  expect(await sent()).toEqual(['We answer in the morning.'])
  await dawn(desk)
  await desk.own(sessionId)
  const waiting = database.worker.selectFrom('message').select('id').where('session_id', '=', sessionId)
  await until(async () => {
    const rows = await waiting.where('direction', '=', 'inbound').where('turn_id', 'is', null).execute()
    return rows.length === 0 && (await turnsOf()).every(({ state }) => state === 'answered')
  })
  expect((await turnsOf()).length).toBe(2)
  expect(await sent()).toEqual(['We answer in the morning.', 'It is 120 €.', 'It is 120 €.'])
})

test('a word for a human works at night', async () => {
  await setSettings(database, companyId, settings())
  await using desk = openDesk(database)
  await desk.own(sessionId)
  await receive(desk, 'what is the price?')
  await heldWith(1)
  await receive(desk, 'I want a human')
  const [turn] = await until(async () => {
    const turns = await turnsOf()
    return turns.every(({ state }) => state !== 'open') ? turns : undefined
  })
  expect(turn).toMatchObject({ error_code: 'conversation_with_person', held_until: null })
  expect(await sent()).toEqual(['We answer in the morning.', 'One moment, please.'])
})

test('what a person has answered at night is not answered again in the morning', async () => {
  await setSettings(database, companyId, settings())
  await using desk = openDesk(database)
  await desk.own(sessionId)
  await receive(desk, 'what is the price?')
  await heldWith(1)
  await database.worker
    .insertInto('message')
    .values({
      ...{ id: newId(), company_id: companyId, session_id: sessionId, contact_id: contactId, direction: 'outbound' },
      ...{ origin: 'phone', whatsapp_id: newWhatsAppId(), status: 'sent', content: '{"kind":"text","text":"120!"}' },
      ...{ envelope: '{"id":"1"}', sent_at: new Date() },
    })
    .execute()
  expect(await turnsOf()).toMatchObject([
    { state: 'unanswered', error_code: 'conversation_with_person', held_until: null },
  ])
})

test('more chats than fit into memory can be held, and each is told', async () => {
  await setSettings(database, companyId, settings())
  await using desk = openDesk(database, { maxChatsPerSession: 3 })
  await desk.own(sessionId)
  const contacts = await Promise.all(Array.from({ length: 10 }, () => createContact(database, companyId)))
  for (const each of contacts) {
    await receive(desk, 'what is the price?', each)
    expect(desk.inbox.busyChats).toBeLessThanOrEqual(3)
  }
  await until(async () => (await sent()).length === 10)
  await until(() => desk.inbox.busyChats === 0)
  await dawn(desk)
  await desk.own(sessionId)
  await until(async () => (await turnsOf()).filter(({ state }) => state === 'answered').length === 10)
  expect((await sent()).length).toBe(20)
})

test('whichever statement the process dies at, the customer is told once and answered once', async () => {
  const live = async (contact: string, fault?: Fault) => {
    await using mine = openFaultyDatabase(testDatabase.url, fault)
    await using desk = openDesk(mine, { batching: { quietMs: 0, maxMs: 0, maxMessages: 50 } })
    const isHeld = async () => {
      const turns = database.worker.selectFrom('turn').select('held_until').where('contact_id', '=', contact)
      return (await turns.executeTakeFirst())?.held_until != null
    }
    const owning = desk.own(sessionId).catch((error: unknown) => {
      if (!mine.hasCrashed) throw error
    })
    await Promise.race([owning, mine.crashed])
    await until(async () => mine.hasCrashed || (await isHeld()))
    await until(() => mine.hasCrashed || desk.inbox.busyChats === 0)
    return mine.statements
  }
  await setSettings(database, companyId, settings())
  const write = async () => {
    const contact = await createContact(database, companyId)
    await storeInbound(database, { companyId, sessionId, contactId: contact }, ['what is the price?'])
    return contact
  }
  const statements = await live(await write())
  const contacts: string[] = []
  for (let atStatement = 1; atStatement <= statements; atStatement += 1) {
    for (const when of ['before', 'after'] as const) {
      const contact = await write()
      contacts.push(contact)
      await live(contact, { what: 'crash', when, atStatement })
      await live(contact)
    }
  }
  await dawn()
  await using desk = openDesk(database)
  await desk.own(sessionId)
  await until(async () => (await turnsOf()).every(({ state }) => state === 'answered'))
  const messages = await readOutbound(database, sessionId)
  for (const contact of contacts) {
    const texts = messages.filter(({ contact_id }) => contact_id === contact)
    expect(texts.map(({ content }) => ('text' in content ? content.text : ''))).toEqual([
      ...['We answer in the morning.', 'It is 120 €.'],
    ])
  }
})
