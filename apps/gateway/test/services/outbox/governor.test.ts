import type { CompanySettings, PacingSettings } from '@frontdesk/api-contract'
import { sql } from 'kysely'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { ContactWishes } from '#src/services/outbox/contact-wishes.ts'
import type { AcceptMessage } from '#src/services/outbox/message-intake.ts'
import { OPERATOR } from '#src/services/security/actor.ts'
import type { Lease } from '#src/storage/leases.ts'
import { createTestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { type Desk, openDesk, setSettings } from '../support/desk.ts'
import { createContact, readEvents, readTurns, storeInbound } from '../support/messages.ts'
import { CustomerPhones, failAt, hold, ScriptedConnection } from '../support/scripted-connection.ts'

const DAY_MS = 24 * 60 * 60 * 1000

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

const pace = (pacing: PacingSettings, more: CompanySettings = {}) =>
  setSettings(database, companyId, { ...more, sessions: { pacing } })
const connection = () => new ScriptedConnection(database, sessionId, phones)
function goOnline(scripted = connection()) {
  desk.outbox.online({ lease, store: scripted.store }, scripted, Promise.resolve())
  return scripted
}
const accept = (text: string, to = contactId, when: Pick<AcceptMessage, 'sendAt' | 'expiresAt'> = {}) =>
  desk.intake.accept(companyId, {
    sessionId,
    to: { contactId: to },
    content: { kind: 'text', text },
    requestHash: new Uint8Array(32),
    ...when,
  })
const read = (id: string) =>
  database.worker
    .selectFrom('message')
    .select(['status', 'error_code', 'next_attempt_at', 'wait_reason'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
const waiting = (id: string) =>
  until(async () => {
    const row = await read(id)
    return row.wait_reason === null ? undefined : row
  })
const ended = (id: string) =>
  until(async () => {
    const row = await read(id)
    return row.status === 'queued' ? undefined : row
  })
/** Resolves when a sweep of the outbox is over, which may have begun before. */
const sweep = async () => {
  const { id } = await accept('over', await newContact(), { sendAt: minutesFromNow(60) })
  await sql`update message set expires_at = now() - interval '2 minutes' where id = ${id}`.execute(database.worker)
  await ended(id)
}
const minutesFromNow = (count: number) => new Date(Date.now() + count * 60_000)
const newContact = () => createContact(database, companyId)
const place = () => ({ companyId, sessionId, contactId })
/** Lets the time come that a message waits for, as far as its row knows. */
const letComeDue = async (id: string) => {
  await sql`update message set next_attempt_at = now(), send_at = case when send_at is null then null else now() end
    where id = ${id}`.execute(database.worker)
  desk.outbox.refresh(sessionId)
}

test('a session sends what a minute allows, and what is over waits and says since when and why; replies do not wait', async () => {
  await pace({ messagesPerMinute: 2 })
  const scripted = goOnline()
  const sent = [await accept('one', await newContact()), await accept('two', await newContact())]
  const waits = await accept('three', await newContact())
  expect(await waiting(waits.id)).toMatchObject({ status: 'queued', wait_reason: 'pace' })
  expect((await read(waits.id)).next_attempt_at?.getTime()).toBeGreaterThan(Date.now() + 20_000)
  for (const { id } of sent) expect(await ended(id)).toMatchObject({ status: 'sent', next_attempt_at: null })
  await storeInbound(database, place(), ['Are you open?'])
  const reply = await accept('We are.')
  expect(await ended(reply.id)).toMatchObject({ status: 'sent' })
  expect(scripted.sends.length).toBe(3)
})

test("a responder's answer to somebody who is written to for the first time is a reply as well", async () => {
  await pace(
    { messagesPerMinute: 1, newContactsPerDay: 1 },
    { responders: [{ kind: 'rules' }], fallback: 'Thank you!' },
  )
  goOnline()
  await accept('one', await newContact())
  desk.inbox.receive(sessionId, await storeInbound(database, place(), ['hi']))
  await until(() => phones.texts.length === 2)
  expect(phones.texts).toEqual(['one', 'Thank you!'])
})

test('a chat has a pace of its own; behind a message that waits, none of its chat overtakes', async () => {
  await pace({ chatMessagesPerMinute: 2 })
  goOnline()
  const accepted = []
  for (const text of ['one', 'two', 'three', 'four']) accepted.push(await accept(text))
  const third = await waiting(accepted[2]?.id ?? '')
  expect(third.wait_reason).toBe('pace')
  const fifth = await accept('five')
  await accept('elsewhere', await newContact())
  await until(() => phones.texts.length === 3)
  expect(phones.texts).toEqual(['one', 'two', 'elsewhere'])
  expect(await read(fifth.id)).toMatchObject({ status: 'queued' })
})

test('first messages to new contacts have a budget for each day, which replies and known contacts do not use', async () => {
  await pace({ newContactsPerDay: 2 })
  goOnline()
  const first = await newContact()
  await ended((await accept('one', first)).id)
  await ended((await accept('two', await newContact())).id)
  const over = await accept('three')
  expect(await waiting(over.id)).toMatchObject({ wait_reason: 'new_contacts' })
  const tomorrow = Date.parse(new Date().toISOString().slice(0, 10)) + DAY_MS
  expect((await read(over.id)).next_attempt_at?.getTime()).toBeGreaterThanOrEqual(tomorrow)
  expect(await ended((await accept('one more', first)).id)).toMatchObject({ status: 'sent' })
  // The budget is the day's, also for the next owner.
  desk.outbox.released(sessionId)
  await using successor = openDesk(database)
  const scripted = connection()
  successor.outbox.online({ lease: await successor.own(sessionId), store: scripted.store }, scripted, Promise.resolve())
  const next = await successor.intake.accept(companyId, {
    sessionId,
    to: { contactId: await newContact() },
    content: { kind: 'text', text: 'four' },
    requestHash: new Uint8Array(32),
  })
  expect(await waiting(next.id)).toMatchObject({ wait_reason: 'new_contacts' })
})

test('a new number begins slowly, and is not new again when it is linked again', async () => {
  await pace({ newContactsPerDay: 4, warmUpDays: 3 })
  await database.worker
    .updateTable('session')
    .set({ phone: '4917012345678', linked_at: new Date() })
    .where('id', '=', sessionId)
    .execute()
  goOnline()
  await ended((await accept('one', await newContact())).id)
  expect(await waiting((await accept('two', await newContact())).id)).toMatchObject({ wait_reason: 'warm_up' })
  // The company had it linked long ago, in another session.
  const later = await testDatabase.createSession(companyId)
  await sql`update linked_number set linked_at = now() - interval '9 days' where company_id = ${companyId}`.execute(
    database.worker,
  )
  const setPhone = (session: string, phone: string | null) =>
    database.worker.updateTable('session').set({ phone }).where('id', '=', session).execute()
  await setPhone(sessionId, null)
  await setPhone(later, '4917012345678')
  const scripted = new ScriptedConnection(database, later, phones)
  desk.outbox.online({ lease: await desk.own(later), store: scripted.store }, scripted, Promise.resolve())
  const send = async (text: string) =>
    desk.intake.accept(companyId, {
      sessionId: later,
      to: { contactId: await newContact() },
      content: { kind: 'text', text },
      requestHash: new Uint8Array(32),
    })
  for (const text of ['one', 'two', 'three', 'four']) await ended((await send(text)).id)
  expect(await waiting((await send('five')).id)).toMatchObject({ wait_reason: 'new_contacts' })
})

test.each(['463', '429'])('%s slows the session down, also after a restart; replies go on', async (code) => {
  await pace({ messagesPerMinute: 4 })
  goOnline(connection().next(failAt('throttled', code)))
  const refused = await accept('one')
  expect(await waiting(refused.id)).toMatchObject({ status: 'queued', wait_reason: 'throttled' })
  expect(await waiting((await accept('two', await newContact())).id)).toMatchObject({ wait_reason: 'throttled' })
  const customer = await newContact()
  await storeInbound(database, { ...place(), contactId: customer }, ['Are you open?'])
  expect(await ended((await accept('We are.', customer)).id)).toMatchObject({ status: 'sent' })
  desk.outbox.released(sessionId)
  await using successor = openDesk(database)
  const scripted = connection()
  successor.outbox.online({ lease: await successor.own(sessionId), store: scripted.store }, scripted, Promise.resolve())
  // Two a minute are left of four. It is found by its sweep, or told.
  const sends = [await accept('three', await newContact()), await accept('four', await newContact())]
  successor.outbox.refresh(sessionId)
  for (const { id } of sends) expect(await ended(id)).toMatchObject({ status: 'sent' })
  const last = await accept('five', await newContact())
  successor.outbox.refresh(sessionId)
  expect(await waiting(last.id)).toMatchObject({ wait_reason: 'throttled' })
})

test('typing is shown before a responder answers, where that is set, and before nothing else', async () => {
  await pace(
    { typing: true },
    { responders: [{ kind: 'rules' }], fallback: 'Yes.', batching: { quietMs: 0, maxMs: 0 } },
  )
  const scripted = goOnline()
  await ended((await accept('one')).id)
  expect(scripted.typings).toEqual([])
  desk.inbox.receive(sessionId, await storeInbound(database, place(), ['hi']))
  await until(() => phones.texts.length === 2)
  expect(scripted.typings).toMatchObject([{ to: scripted.sends[0]?.to, after: 1 }])
})

test('a scheduled message waits for its moment, and its chat does not wait for it', async () => {
  goOnline()
  const scheduled = await accept('later', contactId, { sendAt: minutesFromNow(60) })
  expect(await read(scheduled.id)).toMatchObject({ status: 'queued', wait_reason: 'scheduled' })
  await ended((await accept('now')).id)
  expect(phones.texts).toEqual(['now'])
  await letComeDue(scheduled.id)
  expect(await ended(scheduled.id)).toMatchObject({ status: 'sent' })
  expect(phones.texts).toEqual(['now', 'later'])
})

test('a scheduled message goes by itself when its moment comes, whoever owns its session then', async () => {
  const { id } = await accept('soon', contactId, { sendAt: new Date(Date.now() + 300) })
  goOnline()
  expect(await ended(id)).toMatchObject({ status: 'sent' })
})

test('a moment that is over means at once', async () => {
  goOnline()
  expect(await ended((await accept('one', contactId, { sendAt: new Date(0) })).id)).toMatchObject({ status: 'sent' })
})

test.each<[string, Pick<AcceptMessage, 'sendAt' | 'expiresAt'>]>([
  ['sendAt', { sendAt: new Date(Date.now() + 400 * DAY_MS) }],
  ['expiresAt', { expiresAt: new Date(Date.now() - 1) }],
  ['expiresAt', { sendAt: new Date(Date.now() + 2 * DAY_MS), expiresAt: new Date(Date.now() + DAY_MS) }],
  ['expiresAt', { expiresAt: new Date(Date.now() + 31 * DAY_MS) }],
])('a %s that makes no sense is refused', async (field, when) => {
  await expect(accept('one', contactId, when)).rejects.toMatchObject({
    code: 'invalid_request',
    detail: expect.stringContaining(field),
  })
})

test('what waits can be cancelled, once, with an event; it is never sent', async () => {
  await pace({ messagesPerMinute: 1 })
  const scripted = goOnline()
  await ended((await accept('one', await newContact())).id)
  const paced = await accept('two', await newContact())
  await waiting(paced.id)
  const scheduled = await accept('three', contactId, { sendAt: minutesFromNow(60) })
  for (const { id } of [paced, scheduled]) {
    await desk.intake.cancel(companyId, id)
    expect(await read(id)).toMatchObject({ status: 'failed', error_code: 'cancelled', next_attempt_at: null })
    await expect(desk.intake.cancel(companyId, id)).rejects.toMatchObject({ code: 'message_not_cancellable' })
    await letComeDue(id)
  }
  const events = await readEvents(database, companyId)
  expect(events.filter(({ data }) => data['code'] === 'cancelled').length).toBe(2)
  await storeInbound(database, place(), ['hi'])
  await ended((await accept('four')).id)
  expect(scripted.sends.map(({ content }) => content.text)).toEqual(['one', 'four'])
})

test('what is on its way or gone, and what the company does not have, is not cancelled', async () => {
  await database.worker.updateTable('session').set({ state: 'online' }).where('id', '=', sessionId).execute()
  const sending = hold()
  goOnline(connection().next(sending.step))
  const { id } = await accept('one')
  await until(sending.hasBegun)
  await expect(desk.intake.cancel(companyId, id)).rejects.toMatchObject({ code: 'message_not_cancellable' })
  const other = await testDatabase.createCompany()
  await expect(desk.intake.cancel(other, id)).rejects.toMatchObject({ code: 'not_found' })
  sending.succeed()
})

test('what waits for a session that is not online can be cancelled', async () => {
  await database.worker.updateTable('session').set({ state: 'reconnecting' }).where('id', '=', sessionId).execute()
  const { id } = await accept('one')
  await desk.intake.cancel(companyId, id)
  const scripted = goOnline()
  await ended((await accept('two')).id)
  expect(scripted.sends.map(({ content }) => content.text)).toEqual(['two'])
})

test('a message of a session that is just coming online is either cancelled or sent', async () => {
  await database.worker.updateTable('session').set({ state: 'connecting' }).where('id', '=', sessionId).execute()
  const recorded = Promise.withResolvers<void>()
  const scripted = connection()
  desk.outbox.online({ lease, store: scripted.store }, scripted, recorded.promise)
  const early = await accept('one')
  const late = await accept('two')
  await desk.intake.cancel(companyId, early.id)
  const cancelling = await database.worker.transaction().execute(async (transition) => {
    await transition.updateTable('session').set({ state: 'online' }).where('id', '=', sessionId).execute()
    const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(transition)
    const outcome = desk.intake.cancel(companyId, late.id).catch((error: unknown) => error)
    await until(async () => {
      const waiters = sql`select from pg_stat_activity where ${rows[0]?.pid ?? 0}::int = any (pg_blocking_pids(pid))`
      return (await waiters.execute(database.worker)).rows.length > 0
    })
    return { outcome }
  })
  expect(await cancelling.outcome).toMatchObject({ code: 'message_not_cancellable' })
  recorded.resolve()
  await ended(late.id)
  expect(scripted.sends.map(({ content }) => content.text)).toEqual(['two'])
})

test('a cancellation in the moment in which a message comes due is either done or refused', async () => {
  await database.worker.updateTable('session').set({ state: 'online' }).where('id', '=', sessionId).execute()
  const scripted = goOnline()
  for (let round = 0; round < 20; round += 1) {
    const { id } = await accept(`round ${round}`, contactId, { sendAt: minutesFromNow(60) })
    await letComeDue(id)
    const isCancelled = await desk.intake.cancel(companyId, id).then(
      () => true,
      () => false,
    )
    expect((await ended(id)).status).toBe(isCancelled ? 'failed' : 'sent')
    desk.outbox.refresh(sessionId)
    expect(scripted.sends.some(({ content }) => content.text === `round ${round}`)).toBe(!isCancelled)
  }
})

test('a message of a session that is never online again ends when it expires, with an event', async () => {
  const { id } = await accept('one')
  expect((await read(id)).status).toBe('queued')
  await sql`update message set expires_at = now() - interval '2 minutes' where id = ${id}`.execute(database.worker)
  expect(await ended(id)).toMatchObject({ status: 'failed', error_code: 'expired' })
  const events = await readEvents(database, companyId)
  expect(events.at(-1)).toMatchObject({
    type: 'message.status_changed',
    subject_id: id,
    session_id: sessionId,
    data: { status: 'failed', code: 'expired' },
  })
})

test('a message that waits for its turn ends at the moment at which it expires', async () => {
  await pace({ newContactsPerDay: 1 })
  goOnline()
  await ended((await accept('one', await newContact())).id)
  const { id } = await accept('two', contactId, { expiresAt: new Date(Date.now() + 500) })
  expect(await ended(id)).toMatchObject({ status: 'failed', error_code: 'expired' })
})

const optOut = { stopWords: ['STOP'], startWords: ['START'] }
const answering: CompanySettings = { optOut, responders: [{ kind: 'rules' }], fallback: 'Thank you!' }
const write = async (text: string, count: number) => {
  desk.inbox.receive(sessionId, await storeInbound(database, place(), [text]))
  await until(
    async () => (await readTurns(database, sessionId)).filter(({ state }) => state !== 'open').length === count,
  )
}

test('a contact that says STOP gets nothing: no answer, nothing that waits, nothing that comes, until START', async () => {
  await setSettings(database, companyId, answering)
  goOnline()
  const scheduled = await accept('a reminder', contactId, { sendAt: minutesFromNow(60) })
  await write('stop!', 1)
  expect(await readTurns(database, sessionId)).toMatchObject([{ state: 'unanswered', error_code: 'contact_opted_out' }])
  expect(await read(scheduled.id)).toMatchObject({ status: 'failed', error_code: 'contact_opted_out' })
  const refused = await accept('an offer')
  expect(refused.status).toBe('failed')
  expect(await read(refused.id)).toMatchObject({ status: 'failed', error_code: 'contact_opted_out' })
  await write('and another thing', 2)
  expect(phones.texts).toEqual([])
  const ofMessage = (await readEvents(database, companyId)).filter(({ subject_id }) => subject_id === refused.id)
  expect(ofMessage).toMatchObject([
    { type: 'message.queued' },
    { type: 'message.status_changed', data: { status: 'failed', code: 'contact_opted_out' } },
  ])
  await write('Start', 3)
  await ended((await accept('Welcome back')).id)
  await until(() => phones.texts.length === 2)
  expect(phones.texts.toSorted()).toEqual(['Thank you!', 'Welcome back'])
})

test('what is held back in memory when the contact says STOP is not sent any more', async () => {
  await setSettings(database, companyId, answering)
  const sending = hold()
  const scripted = goOnline(connection().next(sending.step))
  await accept('one')
  await until(sending.hasBegun)
  const second = await accept('two')
  await write('stop', 1)
  sending.succeed()
  expect(await read(second.id)).toMatchObject({ status: 'failed', error_code: 'contact_opted_out' })
  await ended((await accept('elsewhere', await newContact())).id)
  expect(scripted.sends.map(({ content }) => content.text)).toEqual(['one', 'elsewhere'])
})

test('what another process holds in memory when a contact is opted out is not sent any more', async () => {
  const sending = hold()
  const scripted = goOnline(connection().next(sending.step))
  await accept('one')
  await until(sending.hasBegun)
  const second = await accept('two')
  await new ContactWishes(database).update(companyId, contactId, { isOptedOut: true }, OPERATOR)
  expect(await read(second.id)).toMatchObject({ status: 'failed', error_code: 'contact_opted_out' })
  await sweep()
  await sweep()
  sending.succeed()
  await ended((await accept('elsewhere', await newContact())).id)
  expect(scripted.sends.map(({ content }) => content.text)).toEqual(['one', 'elsewhere'])
})

test('a contact that the company has opted out is not answered', async () => {
  await setSettings(database, companyId, answering)
  await database.worker.updateTable('contact').set({ opted_out_at: new Date() }).where('id', '=', contactId).execute()
  goOnline()
  await write('hello', 1)
  expect(phones.texts).toEqual([])
})
