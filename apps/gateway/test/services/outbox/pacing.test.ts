import type { WaitReason } from '@frontdesk/api-contract'
import fc from 'fast-check'
import { afterAll, afterEach, beforeEach, expect, test, vi } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { Pacing } from '#src/services/outbox/pacing.ts'
import type { EffectivePacing } from '#src/services/outbox/pacing-settings.ts'
import { claimLease } from '../../support/claim-lease.ts'
import { createTestDatabase } from '../../support/database.ts'
import { createContact, storeInbound } from '../support/messages.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS
/** Noon of a day to come: the services let nobody set their clock back. */
const BEGIN_MS = Math.ceil(Date.now() / DAY_MS + 1) * DAY_MS + DAY_MS / 2
const CONTACTS = 5
/** Moments are sums of fractions. */
const ROUNDING_MS = 1

const testDatabase = await createTestDatabase()
const { database } = testDatabase
afterAll(() => testDatabase[Symbol.asyncDispose]())
// Time passes by hand, as the services read it; the database's own clock decides nothing here.
beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }))
afterEach(() => void vi.useRealTimers())

interface Message {
  /** After the one before. */
  gapMs: number
  contact: number
  /** sends: the company by itself; answers: a responder; replies: the company, to what the customer has just written. */
  how: 'sends' | 'answers' | 'replies'
}
const messages: fc.Arbitrary<Message[]> = fc.array(
  fc.record({
    gapMs: fc.oneof({ weight: 4, arbitrary: fc.nat(3000) }, fc.nat(40 * MINUTE_MS)),
    contact: fc.nat(CONTACTS - 1),
    how: fc.constantFrom('sends', 'sends', 'sends', 'answers', 'replies'),
  }),
  { minLength: 1, maxLength: 40 },
)
const limits: fc.Arbitrary<EffectivePacing> = fc.record({
  messagesPerMinute: fc.constantFrom(0, 1, 2, 5, 20),
  chatMessagesPerMinute: fc.constantFrom(0, 1, 2, 7),
  newContactsPerDay: fc.constantFrom(0, 1, 3),
  warmUpDays: fc.constant(0),
  typing: fc.constant(false),
})

interface Sent {
  atMs: number
  contact: number
  /** Neither an answer nor a reply, and nothing that the customer had written shortly before. */
  isOwn: boolean
  isFirst: boolean
  waitedFor: Set<WaitReason>
}

/** Runs messages through the pacing of a new session as the outbox does: each chat in order, asking again when told to. */
async function play(settings: EffectivePacing, script: readonly Message[]): Promise<Sent[]> {
  let arrivesMs = BEGIN_MS
  vi.setSystemTime(arrivesMs)
  const companyId = await testDatabase.createCompany()
  const sessionId = await testDatabase.createSession(companyId)
  const contactIds = await Promise.all(Array.from({ length: CONTACTS }, () => createContact(database, companyId)))
  const lease = await claimLease(database, newId(), sessionId)
  const pacing = new Pacing({ lease, database, defaults: settings })

  const arrivals = script.map((message) => {
    arrivesMs += message.gapMs
    return { ...message, id: newId(), atMs: arrivesMs }
  })
  const chats = contactIds.map((contactId, contact) => ({
    contactId,
    waiting: arrivals.filter((message) => message.contact === contact),
    againMs: 0,
    repliesUntilMs: Number.NEGATIVE_INFINITY,
    waitedFor: new Set<WaitReason>(),
  }))
  const written = new Set<string>()
  const sent: Sent[] = []
  for (let steps = 0; sent.length < arrivals.length; steps += 1) {
    if (steps > 100 * arrivals.length) throw new Error('Some message never gets its turn.')
    // Whose first message may be tried next?
    const tryMs = ({ waiting: [first], againMs }: (typeof chats)[number]) =>
      first === undefined ? Number.POSITIVE_INFINITY : Math.max(first.atMs, againMs)
    const chat = chats.reduce((earliest, each) => (tryMs(each) < tryMs(earliest) ? each : earliest))
    const [message] = chat.waiting
    if (message === undefined) throw new Error('Nothing waits.')
    vi.setSystemTime(Math.ceil(tryMs(chat)))
    if (message.how === 'replies' && !written.has(message.id)) {
      written.add(message.id)
      await storeInbound(database, { companyId, sessionId, contactId: chat.contactId }, ['Are you open?'])
      chat.repliesUntilMs = Date.now() + DAY_MS
    }
    const isAnswer = message.how === 'answers'
    const pause = await pacing.admit({ id: message.id, contactId: chat.contactId, isAnswer })
    if (pause !== undefined) {
      expect(pause.untilMs).toBeGreaterThan(Date.now())
      chat.waitedFor.add(pause.reason)
      chat.againMs = pause.untilMs
      continue
    }
    chat.waiting.shift()
    sent.push({
      atMs: Date.now(),
      contact: message.contact,
      isOwn: !isAnswer && chat.repliesUntilMs <= Date.now(),
      isFirst: !sent.some(({ contact }) => contact === message.contact),
      waitedFor: chat.waitedFor,
    })
    chat.waitedFor = new Set()
  }
  return sent
}

/** Whatever span of time is looked at, it holds no more than a full bucket and what has come in meanwhile. */
function expectWithin(momentsMs: readonly number[], perMinute: number, jitterMs: number): void {
  if (perMinute === 0) return
  for (const [first, fromMs] of momentsMs.entries()) {
    for (const [count, untilMs] of momentsMs.slice(first).entries()) {
      const cameIn = Math.floor(((untilMs - fromMs + jitterMs + ROUNDING_MS) * perMinute) / MINUTE_MS)
      if (count + 1 > perMinute + cameIn) expect(`${count + 1} within ${untilMs - fromMs} ms`).toBe(perMinute + cameIn)
    }
  }
}

test('in no span of time more than the session, each chat and the day of new contacts allow; replies wait for their chat alone', async () => {
  await fc.assert(
    fc.asyncProperty(limits, messages, async (settings, script) => {
      const sent = await play(settings, script)
      const { messagesPerMinute, chatMessagesPerMinute, newContactsPerDay } = settings
      const own = sent.filter(({ isOwn }) => isOwn)
      const moments = own.map(({ atMs }) => atMs)
      expectWithin(moments, messagesPerMinute, messagesPerMinute && MINUTE_MS / messagesPerMinute / 2)
      for (let contact = 0; contact < CONTACTS; contact += 1) {
        const ofChat = sent.filter((each) => each.contact === contact).map(({ atMs }) => atMs)
        expectWithin(ofChat, chatMessagesPerMinute, 0)
      }
      const firsts = own.filter(({ isFirst }) => isFirst)
      for (const [, ofDay] of Map.groupBy(firsts, ({ atMs }) => Math.floor(atMs / DAY_MS))) {
        if (newContactsPerDay > 0) expect(ofDay.length).toBeLessThanOrEqual(newContactsPerDay)
      }
      for (const { waitedFor, isOwn } of sent) {
        if (!isOwn) expect([...waitedFor]).not.toContain('new_contacts')
        if (!isOwn && chatMessagesPerMinute === 0) expect([...waitedFor]).toEqual([])
      }
    }),
    { numRuns: 40 },
  )
})

test('messages that waited for their chats count for the session when they go, and not when they came', async () => {
  const settings = {
    messagesPerMinute: 4,
    chatMessagesPerMinute: 1,
    newContactsPerDay: 0,
    warmUpDays: 0,
    typing: false,
  }
  const send = (contact: number, gapMs = 0): Message => ({ gapMs, contact, how: 'sends' })
  // The second ones of the first two chats wait for a minute, and others come then.
  const sent = await play(settings, [send(0), send(0), send(1), send(1), send(2, MINUTE_MS), send(3), send(4)])
  const moments = sent.map(({ atMs }) => atMs)
  expectWithin(moments, 4, 7500)
})

test('turns that pass while a session is away make no burst when it is back', async () => {
  const settings = {
    messagesPerMinute: 2,
    chatMessagesPerMinute: 0,
    newContactsPerDay: 0,
    warmUpDays: 0,
    typing: false,
  }
  const { admit } = await openPacing(settings)
  const ids = Array.from({ length: 30 }, newId)
  for (const id of ids) await admit(id)
  vi.setSystemTime(Date.now() + 60 * MINUTE_MS)
  const sent = []
  for (const id of ids.slice(2)) if ((await admit(id)) === undefined) sent.push(id)
  expect(sent).toEqual(ids.slice(2, 4))
})

test('turns are given out for an hour ahead: what comes after that asks again, and the session sends without a gap', async () => {
  const settings = {
    messagesPerMinute: 1,
    chatMessagesPerMinute: 0,
    newContactsPerDay: 0,
    warmUpDays: 0,
    typing: false,
  }
  const { admit } = await openPacing(settings)
  const beganMs = Date.now()
  let waiting = Array.from({ length: 150 }, () => ({ id: newId(), againMs: beganMs }))
  const sentMs: number[] = []
  while (waiting.length > 0) {
    vi.setSystemTime(Math.ceil(Math.min(...waiting.map(({ againMs }) => againMs))))
    const left = []
    for (const message of waiting) {
      const pause = message.againMs <= Date.now() ? await admit(message.id) : { untilMs: message.againMs }
      if (pause === undefined) sentMs.push(Date.now())
      else left.push({ ...message, againMs: pause.untilMs })
      if (pause !== undefined) expect(pause.untilMs).toBeLessThan(Date.now() + 62 * MINUTE_MS)
    }
    waiting = left
  }
  for (const [index, atMs] of sentMs.entries())
    expect(Math.abs(atMs - beganMs - index * MINUTE_MS)).toBeLessThanOrEqual(MINUTE_MS)
})

/** The pace of a new session, for messages of the company's own to one contact. */
async function openPacing(defaults: EffectivePacing) {
  vi.setSystemTime(BEGIN_MS)
  const companyId = await testDatabase.createCompany()
  const sessionId = await testDatabase.createSession(companyId)
  const contactId = await createContact(database, companyId)
  const pacing = new Pacing({ lease: await claimLease(database, newId(), sessionId), database, defaults })
  return { admit: (id: string) => pacing.admit({ id, contactId, isAnswer: false }) }
}
