import { createHash } from 'node:crypto'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { type AcceptMessage, MessageIntake } from '#src/services/outbox/message-intake.ts'
import { createTestDatabase } from '../../support/database.ts'
import { openDesk } from '../support/desk.ts'
import { createContact, randomPhone, readEvents, readOutbound } from '../support/messages.ts'

const testDatabase = await createTestDatabase()
const { database } = testDatabase
const desk = openDesk(database)
afterAll(async () => {
  await desk[Symbol.asyncDispose]()
  await testDatabase[Symbol.asyncDispose]()
})

let companyId: string
let sessionId: string
beforeEach(async () => {
  companyId = await testDatabase.createCompany()
  sessionId = await testDatabase.createSession(companyId)
})

function request(text: string, change: Partial<AcceptMessage> = {}): AcceptMessage {
  const wanted = { sessionId, to: { phone: '4917012345678' }, content: { kind: 'text', text } as const, ...change }
  const { idempotencyKey: _, ...hashed } = wanted
  return { ...wanted, requestHash: createHash('sha256').update(JSON.stringify(hashed)).digest() }
}
const accept = (text: string, change?: Partial<AcceptMessage>) => desk.intake.accept(companyId, request(text, change))
/** Nobody sends here. */
const nobody = { onQueued: () => undefined, onUnknown: () => undefined, onTakenOver: () => undefined }
const refusal = (code: string) => expect.objectContaining({ code })

test('an accepted message is stored with its WhatsApp id and its event, before anyone is told', async () => {
  const accepted = await accept('Hello')
  expect(accepted).toMatchObject({
    sessionId,
    status: 'queued',
    whatsappId: expect.stringMatching(/^3EB0[0-9A-F]{18}$/),
  })
  expect(await readOutbound(database, sessionId)).toMatchObject([
    {
      id: accepted.id,
      status: 'queued',
      content: { kind: 'text', text: 'Hello' },
      whatsapp_id: accepted.whatsappId,
      contact_id: accepted.contactId,
      turn_id: null,
    },
  ])
  expect(await readEvents(database, companyId)).toEqual([
    {
      type: 'message.queued',
      subject_id: accepted.id,
      session_id: sessionId,
      data: { contactId: accepted.contactId },
    },
  ])
})

test('a new number becomes one contact, however many messages to it are accepted at once', async () => {
  const phone = randomPhone()
  const accepted = await Promise.all(Array.from({ length: 20 }, (_, n) => accept(`${n}`, { to: { phone } })))
  expect(new Set(accepted.map(({ contactId }) => contactId)).size).toBe(1)
  const aliases = await database.worker
    .selectFrom('contact_alias')
    .innerJoin('contact', 'contact.id', 'contact_alias.contact_id')
    .select('contact.id')
    .where('value', '=', phone)
    .execute()
  expect(aliases).toEqual([{ id: accepted[0]?.contactId }])
})

test('the same number is another contact for another company', async () => {
  const other = await testDatabase.createCompany()
  const otherSession = await testDatabase.createSession(other)
  const mine = await accept('Hello')
  const theirs = await desk.intake.accept(other, request('Hello', { sessionId: otherSession }))
  expect(theirs.contactId).not.toBe(mine.contactId)
})

test('a number and a contact id lead to the same contact, and a merged contact to the one that remains', async () => {
  const phone = randomPhone()
  const contactId = await createContact(database, companyId, phone)
  expect((await accept('Hello', { to: { phone } })).contactId).toBe(contactId)
  expect((await accept('Hello', { to: { contactId } })).contactId).toBe(contactId)
  const survivor = await createContact(database, companyId)
  await database.worker.updateTable('contact').set({ merged_into: survivor }).where('id', '=', contactId).execute()
  expect((await accept('Hello', { to: { contactId } })).contactId).toBe(survivor)
})

test('messages accepted at once keep their order', async () => {
  const texts = Array.from({ length: 300 }, (_, n) => `message ${n}`)
  await Promise.all(texts.map((text) => accept(text)))
  const stored = await readOutbound(database, sessionId)
  expect(stored.map(({ content }) => ('text' in content ? content.text : ''))).toEqual(texts)
})

describe('with an idempotency key', () => {
  test('the same request again is the same message, with how far it has come', async () => {
    const first = await accept('Hello', { idempotencyKey: 'a' })
    await database.worker.updateTable('message').set({ status: 'delivered' }).where('id', '=', first.id).execute()
    expect(await accept('Hello', { idempotencyKey: 'a' })).toEqual({ ...first, status: 'delivered' })
    expect((await readOutbound(database, sessionId)).length).toBe(1)
    expect((await readEvents(database, companyId)).length).toBe(1)
  })

  test('another request is refused and changes nothing', async () => {
    await accept('Hello', { idempotencyKey: 'a' })
    await expect(accept('Goodbye', { idempotencyKey: 'a' })).rejects.toEqual(refusal('idempotency_key_reused'))
    expect((await readOutbound(database, sessionId)).length).toBe(1)
  })

  test('the same request many times at once, over two processes, is one message', async () => {
    await using second = new MessageIntake({ database, ...nobody })
    const accepted = await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        (n % 2 === 0 ? desk.intake : second).accept(companyId, request('Hello', { idempotencyKey: 'a' })),
      ),
    )
    expect(new Set(accepted.map(({ id }) => id)).size).toBe(1)
    expect((await readOutbound(database, sessionId)).length).toBe(1)
  })

  test('of two different requests at once one is accepted and the other refused', async () => {
    const results = await Promise.allSettled(['one', 'two'].map((text) => accept(text, { idempotencyKey: 'a' })))
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect((await readOutbound(database, sessionId)).length).toBe(1)
  })

  test('it is answered even after the session was logged out', async () => {
    const first = await accept('Hello', { idempotencyKey: 'a' })
    await setSession({ state: 'logged_out', linked_at: null })
    expect(await accept('Hello', { idempotencyKey: 'a' })).toEqual(first)
  })

  test("another company's key is another key", async () => {
    const other = await testDatabase.createCompany()
    const otherSession = await testDatabase.createSession(other)
    const mine = await accept('Hello', { idempotencyKey: 'a' })
    const theirs = await desk.intake.accept(other, request('Hi', { sessionId: otherSession, idempotencyKey: 'a' }))
    expect(theirs.id).not.toBe(mine.id)
  })
})

test('without a key each request is a new message', async () => {
  const [first, second] = [await accept('Hello'), await accept('Hello')]
  expect(second?.id).not.toBe(first?.id)
})

const setSession = (change: {
  state: 'logged_out' | 'created' | 'linking' | 'reconnecting' | 'connecting' | 'paused' | 'online'
  linked_at?: null
}) => database.worker.updateTable('session').set(change).where('id', '=', sessionId).execute()

test.each([
  ['created', null, 'session_not_linked'],
  ['linking', null, 'session_not_linked'],
  ['logged_out', null, 'session_logged_out'],
] as const)('a session that is %s takes no messages, and nothing is stored', async (state, linkedAt, code) => {
  await setSession({ state, linked_at: linkedAt })
  await expect(accept('Hello')).rejects.toEqual(refusal(code))
  expect(await readOutbound(database, sessionId)).toEqual([])
  const contacts = await database.worker
    .selectFrom('contact')
    .select('id')
    .where('company_id', '=', companyId)
    .execute()
  expect(contacts).toEqual([])
})

test.each(['reconnecting', 'connecting', 'paused', 'online'] as const)(
  'a linked session that is %s takes messages',
  async (state) => {
    await setSession({ state })
    expect(await accept('Hello')).toMatchObject({ status: 'queued' })
  },
)

test("another company's session and contact do not exist", async () => {
  const other = await testDatabase.createCompany()
  const otherSession = await testDatabase.createSession(other)
  const otherContact = await createContact(database, other)
  await expect(accept('Hello', { sessionId: otherSession })).rejects.toEqual(refusal('not_found'))
  await expect(accept('Hello', { sessionId: newId() })).rejects.toEqual(refusal('not_found'))
  await expect(accept('Hello', { to: { contactId: otherContact } })).rejects.toEqual(refusal('not_found'))
  expect(await readOutbound(database, otherSession)).toEqual([])
})

test('what must not be sent is taken out; a text of which nothing remains is refused', async () => {
  const accepted = await accept('a\u0000b\u202Ec\ud800')
  const [stored] = await readOutbound(database, sessionId)
  expect(stored).toMatchObject({ id: accepted.id, content: { text: 'abc\ufffd' } })
  await expect(accept('\u202E\u0007 \n')).rejects.toEqual(refusal('invalid_request'))
})

test('a message that the database refuses fails alone, not those that are stored with it', async () => {
  const [before, broken, after] = await Promise.allSettled([
    accept('before'),
    desk.intake.accept(companyId, { ...request('broken'), sessionId: 'not a uuid' }),
    accept('after'),
  ])
  expect([before.status, broken.status, after.status]).toEqual(['fulfilled', 'rejected', 'fulfilled'])
})

test('a database that is gone makes accepting unavailable', async () => {
  const gone = await createTestDatabase()
  await gone[Symbol.asyncDispose]()
  await using intake = new MessageIntake({ database: gone.database, ...nobody })
  await expect(intake.accept(companyId, request('Hello'))).rejects.toEqual(refusal('unavailable'))
})
