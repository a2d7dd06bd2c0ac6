import { setImmediate as nextTurn } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import type { Lease } from '#src/storage/leases.ts'
import { claimLease } from '../../support/claim-lease.ts'
import { createTestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { type Desk, openDesk } from '../support/desk.ts'
import { createContact, readEvents, readOutbound } from '../support/messages.ts'
import { CustomerPhones, failAt, hold, ScriptedConnection } from '../support/scripted-connection.ts'

const testDatabase = await createTestDatabase()
const { database } = testDatabase
const desk: Desk = openDesk(database)
afterAll(async () => {
  await desk[Symbol.asyncDispose]()
  await testDatabase[Symbol.asyncDispose]()
})

let companyId: string
let sessionId: string
let lease: Lease
let contactId: string
let phones: CustomerPhones
beforeEach(async () => {
  companyId = await testDatabase.createCompany()
  sessionId = await testDatabase.createSession(companyId)
  contactId = await createContact(database, companyId)
  lease = await desk.own(sessionId)
  phones = new CustomerPhones()
})

const connection = () => new ScriptedConnection(database, sessionId, phones)
function goOnline(scripted = connection()) {
  desk.outbox.online({ lease, store: scripted.store }, scripted, Promise.resolve())
  return scripted
}
const accept = (text: string, to = contactId) =>
  desk.intake.accept(companyId, {
    sessionId,
    to: { contactId: to },
    content: { kind: 'text', text },
    requestHash: new Uint8Array(32),
  })
const statuses = async () => (await readOutbound(database, sessionId)).map(({ status }) => status)
const allSent = () => until(async () => (await statuses()).every((status) => status === 'sent'))
const texts = (scripted: ScriptedConnection) => scripted.sends.map(({ content }) => content.text)

test('what was accepted while the session was not online is sent when it is, in order, to all known addresses', async () => {
  await accept('one')
  const { whatsappId } = await accept('two')
  const scripted = goOnline()
  await accept('three')
  await until(() => phones.texts.length === 3)
  expect(phones.texts).toEqual(['one', 'two', 'three'])
  expect(scripted.sends[1]).toMatchObject({ whatsappId, to: { phone: expect.stringMatching(/^49176/) } })
  await allSent()
})

test('a chat waits for the acknowledgement before the next message, other chats do not', async () => {
  const first = hold()
  const scripted = goOnline(connection().next(first.step))
  await accept('one')
  await until(first.hasBegun)
  await accept('two')
  await accept('elsewhere', await createContact(database, companyId))
  await until(() => scripted.sends.length === 2)
  expect(texts(scripted)).toEqual(['one', 'elsewhere'])
  first.succeed()
  await until(() => scripted.sends.length === 3)
  expect(texts(scripted)).toEqual(['one', 'elsewhere', 'two'])
})

test('an acknowledgement that is lost: the message goes again under the same id and is shown once', async () => {
  const scripted = connection()
  goOnline(scripted.next(scripted.loseAcknowledgement))
  await accept('one')
  await accept('two')
  await allSent()
  expect(texts(scripted)).toEqual(['one', 'one', 'two'])
  expect(new Set(scripted.sends.map(({ whatsappId }) => whatsappId)).size).toBe(2)
  expect(phones.texts).toEqual(['one', 'two'])
  expect((await readOutbound(database, sessionId)).map(({ attempts }) => attempts)).toEqual([1, 0])
})

test.each([
  ['recipient_unreachable', undefined, { status: 'failed', code: 'recipient_unreachable' }],
  ['rejected', '479', { status: 'failed', code: 'rejected_by_whatsapp', whatsappCode: '479' }],
] as const)('%s is final: the message fails with an event, and the chat goes on', async (stage, code, data) => {
  goOnline(connection().next(failAt(stage, code)))
  const { id } = await accept('one')
  await accept('two')
  await until(() => phones.texts.length === 1)
  expect(phones.texts).toEqual(['two'])
  await until(async () => (await statuses()).join() === 'failed,sent')
  expect((await readOutbound(database, sessionId))[0]).toMatchObject({ error_code: data.code })
  const events = await readEvents(database, companyId)
  expect(events.filter(({ type }) => type === 'message.status_changed')).toEqual([
    { type: 'message.status_changed', subject_id: id, session_id: sessionId, data },
  ])
})

test('too many attempts without an acknowledgement: given up, with an event', async () => {
  const { id } = await accept('one')
  await database.worker.updateTable('message').set({ attempts: 9 }).where('id', '=', id).execute()
  goOnline(connection().next(failAt('unacknowledged')))
  await until(async () => (await statuses()).join() === 'failed')
  const events = await readEvents(database, companyId)
  expect(events.at(-1)).toMatchObject({ subject_id: id, data: { status: 'failed', code: 'gave_up' } })
})

test('a pace that WhatsApp does not want costs no attempt; the chat waits for longer, others go on', async () => {
  const { id } = await accept('one')
  await database.worker.updateTable('message').set({ attempts: 9 }).where('id', '=', id).execute()
  const scripted = goOnline(connection().next(failAt('throttled', '429')))
  const deferred = () =>
    database.worker.selectFrom('message').select(['attempts', 'status', 'next_attempt_at']).where('id', '=', id)
  const row = await until(async () => {
    const found = await deferred().executeTakeFirstOrThrow()
    return found.next_attempt_at === null ? undefined : found
  })
  expect(row).toMatchObject({ attempts: 9, status: 'queued' })
  expect(row.next_attempt_at?.getTime()).toBeGreaterThan(Date.now() + 20_000)
  await accept('elsewhere', await createContact(database, companyId))
  await until(() => scripted.sends.length === 2)
  expect(texts(scripted)).toEqual(['one', 'elsewhere'])
})

test('a message that has expired when it could be sent fails and is not sent', async () => {
  const { id } = await accept('one')
  await sql`update message set expires_at = now() - interval '1 second' where id = ${id}`.execute(database.worker)
  const scripted = goOnline()
  await until(async () => (await statuses()).join() === 'failed')
  expect(scripted.sends).toEqual([])
  expect((await readOutbound(database, sessionId))[0]).toMatchObject({ error_code: 'expired' })
})

test('the time of the next attempt holds over a restart', async () => {
  const { id } = await accept('one')
  const later = new Date(Date.now() + 3600 * 1000)
  await database.worker.updateTable('message').set({ next_attempt_at: later }).where('id', '=', id).execute()
  const scripted = goOnline()
  await accept('elsewhere', await createContact(database, companyId))
  await until(() => scripted.sends.length === 1)
  expect(texts(scripted)).toEqual(['elsewhere'])
})

test('a connection that is not open sends nothing, and nothing counts as an attempt', async () => {
  const first = connection().next(failAt('not_connected'))
  goOnline(first)
  await accept('one')
  await until(() => first.sends.length === 1)
  desk.outbox.offline(sessionId)
  const second = goOnline()
  await allSent()
  expect(texts(second)).toEqual(['one'])
  expect((await readOutbound(database, sessionId)).map(({ attempts }) => attempts)).toEqual([0])
})

test('offline in the middle: what is on its way is waited for, nothing is sent twice, the order holds', async () => {
  const onItsWay = hold()
  const first = connection()
  goOnline(
    first.next(async (message) => {
      await onItsWay.step()
      await first.acknowledge(message)
    }),
  )
  await accept('one')
  await until(onItsWay.hasBegun)
  await accept('two')
  desk.outbox.offline(sessionId)
  await accept('three')
  const second = new ScriptedConnection(database, sessionId, phones)
  goOnline(second)
  onItsWay.succeed()
  await allSent()
  expect(texts(first)).toEqual(['one'])
  expect(texts(second)).toEqual(['two', 'three'])
  expect(phones.texts).toEqual(['one', 'two', 'three'])
})

test('more messages than are held in memory: each is sent once, in order in its chat', async () => {
  const contacts = await Promise.all(Array.from({ length: 4 }, () => createContact(database, companyId)))
  const count = 1500
  const expected = new Map<string, string[]>(contacts.map((each) => [each, []]))
  const acceptSome = async (from: number, to: number) => {
    const numbers = Array.from({ length: to - from }, (_, n) => from + n)
    await Promise.all(
      numbers.map((n) => {
        const to = contacts[n % contacts.length] ?? ''
        expected.get(to)?.push(`message ${n}`)
        return accept(`message ${n}`, to)
      }),
    )
  }
  await acceptSome(0, 700)
  const scripted = goOnline()
  await acceptSome(700, count)
  await until(() => phones.texts.length === count)
  await allSent()
  expect(scripted.sends.length).toBe(count)
  const contactOf = new Map(
    (await readOutbound(database, sessionId)).map(({ whatsapp_id, contact_id }) => [whatsapp_id, contact_id]),
  )
  const sent = Map.groupBy(scripted.sends, ({ whatsappId }) => contactOf.get(whatsappId) ?? '')
  for (const [each, wanted] of expected) {
    expect((sent.get(each) ?? []).map(({ content }) => content.text)).toEqual(wanted)
  }
})

test('messages that nobody told of are found and sent, once', async () => {
  const scripted = goOnline()
  await accept('one')
  await until(() => scripted.sends.length === 1)
  await using elsewhere = openDesk(database)
  await elsewhere.intake.accept(companyId, {
    sessionId,
    to: { contactId },
    content: { kind: 'text', text: 'two' },
    requestHash: new Uint8Array(32),
  })
  await until(() => scripted.sends.length === 2)
  expect(texts(scripted)).toEqual(['one', 'two'])
})

test('an acknowledgement that is still being stored is waited for: the message is not sent again', async () => {
  const scripted = connection()
  const storing = hold()
  goOnline(scripted.next(scripted.acknowledgeStoredAfter(storing.step)))
  await accept('one')
  await until(storing.hasBegun)
  // The sending itself is over then; only its record is not yet stored.
  await nextTurn()
  desk.outbox.refresh(sessionId)
  await accept('two')
  storing.succeed()
  await allSent()
  expect(texts(scripted)).toEqual(['one', 'two'])
})

test('a process that has lost its lease fails no message and sends no further one', async () => {
  const first = hold()
  const scripted = goOnline(connection().next(first.step))
  await accept('one')
  await until(first.hasBegun)
  await accept('two')
  await claimLease(database, newId(), sessionId)
  first.fail(new Error('broken'))
  await accept('three')
  // The successor sends all of them.
  const successor = new ScriptedConnection(database, sessionId, phones)
  await using other = openDesk(database)
  const newLease = await other.own(sessionId)
  other.outbox.online({ lease: newLease, store: successor.store }, successor, Promise.resolve())
  await allSent()
  expect(texts(scripted)).toEqual(['one'])
  expect(texts(successor)).toEqual(['one', 'two', 'three'])
})

test('a contact without any address is unreachable', async () => {
  await database.worker.deleteFrom('contact_alias').where('contact_id', '=', contactId).execute()
  const scripted = goOnline()
  await accept('one')
  await until(async () => (await statuses()).join() === 'failed')
  expect(scripted.sends).toEqual([])
  expect((await readOutbound(database, sessionId))[0]).toMatchObject({ error_code: 'recipient_unreachable' })
})
