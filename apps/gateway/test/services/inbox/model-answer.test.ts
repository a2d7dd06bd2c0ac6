import type { ResponderSettings } from '@frontdesk/api-contract'
import { startModelEmulator } from 'model-emulator'
import { afterAll, expect, test } from 'vitest'
import { createTestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { json, startCompanySystem } from '../responders/company-system.ts'
import { openDesk, setSettings } from '../support/desk.ts'
import { createContact, readOutbound, readTurns, storeInbound } from '../support/messages.ts'

const testDatabase = await createTestDatabase()
const { database } = testDatabase
afterAll(() => testDatabase[Symbol.asyncDispose]())

test('a model answers with tools and remembers, until the limit of the conversation hands it over', async () => {
  const companyId = await testDatabase.createCompany('Salon Margot')
  const sessionId = await testDatabase.createSession(companyId, 'main')
  const contactId = await createContact(database, companyId)
  await using system = await startCompanySystem(json({ price: '120 €' }))
  await using model = await startModelEmulator({
    script: ({ messages }) =>
      messages.at(-1)?.role === 'tool'
        ? { text: 'Balayage is 120 €.', usage: { input: 100, output: 10 } }
        : {
            toolCalls: [
              { name: 'prices', arguments: { service: 'balayage' } },
              { name: 'prices', arguments: { service: 'cut' } },
            ],
            usage: { input: 50, output: 5 },
          },
  })
  const ai: ResponderSettings = {
    ...{ kind: 'ai', model: 'some-model', baseUrl: model.baseUrl, limits: { turnsPerConversation: 2 } },
    price: { inputPerMillion: 2, outputPerMillion: 10 },
    tools: [
      {
        ...{ name: 'prices', description: 'Prices.', url: system.url },
        parameters: { type: 'object', properties: { service: { type: 'string' } } },
      },
    ],
  }
  await setSettings(database, companyId, { responders: [ai], fallback: 'One moment.' })
  await using desk = openDesk(database)
  await desk.own(sessionId)
  const write = async (...messages: string[]) =>
    desk.inbox.receive(sessionId, await storeInbound(database, { companyId, sessionId, contactId }, messages))
  const closed = (count: number) =>
    until(async () => {
      const turns = await readTurns(database, sessionId)
      return turns.length === count && turns.every(({ state }) => state !== 'open') ? turns : undefined
    })
  const conversation = () =>
    database.worker.selectFrom('conversation').selectAll().where('session_id', '=', sessionId).executeTakeFirstOrThrow()

  await write('Hi!', 'How much is balayage?')
  const [turn] = await closed(1)
  expect(turn).toMatchObject({ state: 'answered', responder: 'ai', error_code: null })
  expect((await readOutbound(database, sessionId)).map(({ content }) => content)).toEqual([
    { kind: 'text', text: 'Balayage is 120 €.' },
  ])
  expect(system.calls.map(({ body }) => body)).toMatchObject([
    { turnId: turn?.id, contact: { id: contactId }, arguments: { service: 'balayage' } },
    { turnId: turn?.id, contact: { id: contactId }, arguments: { service: 'cut' } },
  ])
  expect(await conversation()).toMatchObject({ state: 'bot' })

  await write('And colour?')
  await closed(2)
  expect(model.requests[2]?.messages.slice(1)).toMatchObject([
    { role: 'user', content: 'Hi!\nHow much is balayage?' },
    { role: 'assistant', content: 'Balayage is 120 €.' },
    { role: 'user', content: 'And colour?' },
  ])
  expect(await conversation()).toMatchObject({ state: 'bot', turns: 2, cost_micros: 2 * 450 })

  await write('Hello?')
  expect((await closed(3)).at(-1)).toMatchObject({ state: 'unanswered', error_code: 'ai_limit_reached' })
  expect(model.requests.length).toBe(4)
  expect(await conversation()).toMatchObject({ state: 'waiting', reason: 'limit_reached' })
})
