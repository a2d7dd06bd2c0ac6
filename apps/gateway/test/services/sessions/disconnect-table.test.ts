import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Emulator, type Fault, startEmulator } from 'whatsapp-emulator'
import type { DisconnectReason } from '#src/model/disconnect-reason.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { sessionRows } from './support/session-rows.ts'
import { ACTOR, TestSessions } from './support/test-sessions.ts'

/**
 * Every reason for which WhatsApp ends a connection, in every state in which there is one. What the policy makes of each
 * reason is tested without a connection in policy.test.ts; expired, refused and taken links in linking.test.ts.
 */

/** When the next attempt follows: within a fast attempt's delay, after minutes, or not before somebody acts. */
type Next = 'soon' | 'long' | 'none'
/** What brings the session back, and with it what the customer wrote meanwhile. */
type Way = 'by itself' | 'start' | 'restart' | 'another version' | 'another link'

interface Outcome {
  state: string
  reason: DisconnectReason
  next: Next
  /** What the company is told to do, or what is done. */
  action: string
  back: Way
}

const passes = (reason: DisconnectReason): Outcome => ({
  ...{ state: 'reconnecting', reason, next: 'soon', action: 'connect', back: 'by itself' },
})
const OUTCOMES = {
  unlinked: { state: 'logged_out', reason: 'logged_out', next: 'none', action: 'link', back: 'another link' },
  banned: { state: 'banned', reason: 'forbidden', next: 'none', action: 'ask_whatsapp', back: 'start' },
  bannedForAWhile: {
    ...{ state: 'reconnecting', reason: 'temporarily_banned', next: 'long', action: 'connect', back: 'restart' },
  },
  outdated: {
    ...{ state: 'reconnecting', reason: 'client_outdated', next: 'long', action: 'connect', back: 'another version' },
  },
  mismatch: { state: 'failed', reason: 'multi_device_mismatch', next: 'none', action: 'relink', back: 'start' },
} satisfies Record<string, Outcome>

let emulator: Emulator
let database: TestDatabase
let host: TestSessions
let rows: ReturnType<typeof sessionRows>
let count = 0

beforeAll(async () => {
  emulator = await startEmulator({ behaviour: { sendsHistory: false, receipts: 'none' } })
  database = await createTestDatabase()
  rows = sessionRows(database)
  host = await TestSessions.start(database, emulator)
})
afterAll(async () => {
  await host[Symbol.asyncDispose]()
  await emulator.close()
  await database[Symbol.asyncDispose]()
})

interface Subject {
  companyId: string
  id: string
  phone: string
}

/** Each has a version of WhatsApp Web of its own: one that is refused is refused to all who announce it. */
async function create(): Promise<Subject> {
  count += 1
  const [phone, waVersion] = [`49174000${String(count).padStart(4, '0')}`, `2.3000.${count}`]
  const companyId = await database.createCompany()
  const { id } = await host.sessions.create(companyId, { name: 'main' }, ACTOR)
  await host.sessions.update(companyId, id, { settings: { waVersion } }, ACTOR)
  return { companyId, id, phone }
}

async function link({ companyId, id, phone }: Subject): Promise<void> {
  await host.sessions.start(companyId, id, ACTOR)
  await host.inState(companyId, id, 'linking')
  await host.scan(companyId, id, emulator, phone)
}

async function online(): Promise<Subject> {
  const subject = await create()
  await link(subject)
  await host.inState(subject.companyId, subject.id, 'online')
  return subject
}

async function paused(): Promise<Subject> {
  const subject = await online()
  await host.sessions.pause(subject.companyId, subject.id, ACTOR)
  await host.inState(subject.companyId, subject.id, 'paused')
  return subject
}

/** The announcement of the outcome is awaited, and what company and customer see of it. */
async function expectOutcome(subject: Subject, sinceMs: number, { state, reason, next, action, back }: Outcome) {
  const { companyId, id, phone } = subject
  const announced = await until(
    async () => (await rows.eventsOf(id)).find((data) => data['reason'] === reason && data['state'] === state),
    { what: `${state} because of ${reason}` },
  )
  expectNext(announced['nextAttemptAt'], sinceMs, next)
  expect(announced['attempt']).toBeTypeOf('number')
  if (back !== 'by itself') {
    const seen = await host.sessions.get(companyId, id)
    expect(seen).toMatchObject({ state, reason, next: { action, explanation: expect.stringMatching(/\w/) } })
    expectNext(seen.next.at, sinceMs, next)
    expect(seen.desired).toBe(next === 'none' ? 'paused' : 'running')
  }
  const text = `while ${state} because of ${reason}`
  await emulator.sendText({ from: '491719990003', to: phone, text })
  await bringBack(subject, back)
  const texts = async () =>
    (await rows.messages(id)).map(({ content }) => (content.kind === 'text' ? content.text : content.kind))
  if (back === 'another link') expect(await texts()).toEqual([])
  else await until(async () => (await texts()).length > 0, { what: 'the customer is heard' })
  await host.inState(companyId, id, 'online')
  // Heard once.
  if (back !== 'another link') expect(await texts()).toEqual([text])
}

function expectNext(at: unknown, sinceMs: number, next: Next): void {
  if (next === 'none') {
    expect(at).toBeNull()
    return
  }
  const inMs = Date.parse(String(at)) - sinceMs
  if (next === 'soon') expect(inMs).toBeLessThan(60_000)
  else expect(inMs).toBeGreaterThan(9 * 60_000)
}

async function bringBack(subject: Subject, back: Way): Promise<void> {
  const { companyId, id } = subject
  switch (back) {
    case 'by itself':
      return
    case 'start':
      // Its keys are still there: when WhatsApp has changed its mind, nobody has to link anew.
      await host.sessions.start(companyId, id, ACTOR)
      return
    case 'restart':
      await emulator.fault({ kind: 'refuse_logins', phone: subject.phone, isOn: false })
      await host.sessions.restart(companyId, id, ACTOR)
      return
    case 'another version':
      count += 1
      await host.sessions.update(companyId, id, { settings: { waVersion: `2.3000.${count}` } }, ACTOR)
      return
    case 'another link':
      expect(await rows.keyCount(id)).toBe(0)
      await link(subject)
  }
}

type FaultOf = (phone: string) => Fault

const streamError =
  (code: Extract<Fault, { kind: 'stream_error' }>['code']): FaultOf =>
  (phone) => ({ kind: 'stream_error', code, phone })

describe('while it is online', () => {
  const faults: [string, FaultOf, Outcome][] = [
    ['401', streamError('401'), OUTCOMES.unlinked],
    ['403', streamError('403'), OUTCOMES.banned],
    ['405', streamError('405'), OUTCOMES.outdated],
    ['408', streamError('408'), passes('timed_out')],
    ['411', streamError('411'), OUTCOMES.mismatch],
    ['428', streamError('428'), passes('connection_closed')],
    ['440', streamError('440'), passes('replaced')],
    ['500', streamError('500'), passes('bad_session')],
    ['503', streamError('503'), passes('service_unavailable')],
    ['515', streamError('515'), passes('restart_required')],
    ['the end of the stream', (phone) => ({ kind: 'stream_end', phone }), passes('connection_closed')],
    ['a broken connection', (phone) => ({ kind: 'drop', phone }), passes('connection_closed')],
    ['a corrupt frame', (phone) => ({ kind: 'corrupt_frame', phone }), passes('bad_session')],
  ]
  test.concurrent.each(faults)('%s', async (_what, fault, outcome) => {
    const subject = await online()
    const sinceMs = Date.now()
    await emulator.fault(fault(subject.phone))
    await expectOutcome(subject, sinceMs, outcome)
  })

  test.concurrent('an open connection that is dead', async () => {
    const subject = await online()
    const sinceMs = Date.now()
    await emulator.fault({ kind: 'stall', phone: subject.phone })
    host.listener.connections.get(subject.id)?.abandon('unresponsive', 'No answer.')
    await expectOutcome(subject, sinceMs, passes('unresponsive'))
  })
})

const LOGINS: [Extract<Fault, { kind: 'refuse_logins'; isOn: true }>['reason'], Outcome][] = [
  ['401', OUTCOMES.unlinked],
  ['402', OUTCOMES.bannedForAWhile],
  ['403', OUTCOMES.banned],
  ['405', OUTCOMES.outdated],
  ['406', OUTCOMES.banned],
  ['411', OUTCOMES.mismatch],
  ['500', passes('bad_session')],
  ['503', passes('service_unavailable')],
]
const refuseLogin = (phone: string, reason: (typeof LOGINS)[number][0]) =>
  emulator.fault({ kind: 'refuse_logins', phone, isOn: true, reason, ...(reason !== '402' && { count: 1 }) })

describe('while it logs in', () => {
  test.concurrent.each(LOGINS)('%s', async (reason, outcome) => {
    const subject = await paused()
    const sinceMs = Date.now()
    await refuseLogin(subject.phone, reason)
    await host.sessions.start(subject.companyId, subject.id, ACTOR)
    await expectOutcome(subject, sinceMs, outcome)
  })

  test.concurrent('a proxy that is not there', async () => {
    const subject = await online()
    const sinceMs = Date.now()
    const { companyId, id } = subject
    await host.sessions.update(companyId, id, { proxy: 'http://127.0.0.1:9' }, ACTOR)
    await until(async () => (await host.sessions.get(companyId, id)).reason === 'proxy_failed')
    await host.sessions.update(companyId, id, { proxy: null }, ACTOR)
    await expectOutcome(subject, sinceMs, passes('proxy_failed'))
  })
})

describe('right after the phone has accepted the link', () => {
  test.concurrent.each(LOGINS)('%s', async (reason, outcome) => {
    const subject = await create()
    const sinceMs = Date.now()
    await refuseLogin(subject.phone, reason)
    await link(subject)
    await expectOutcome(subject, sinceMs, outcome)
  })
})

describe('while it is paused', () => {
  test.concurrent('the phone unlinks it: it is found out at the next start', async () => {
    const subject = await paused()
    const { companyId, id, phone } = subject
    await emulator.unlink({ phone })
    expect(await host.sessions.get(companyId, id)).toMatchObject({ state: 'paused' })
    const sinceMs = Date.now()
    await host.sessions.start(companyId, id, ACTOR)
    await expectOutcome(subject, sinceMs, OUTCOMES.unlinked)
  })
})

describe('an outdated version', () => {
  test('is one alert for the operator, whoever has met it', async () => {
    await host.alerts.stored()
    const { items } = await host.alerts.listAll({ state: 'all', limit: 200 })
    const outdated = items.filter(({ kind, clearedAt }) => kind === 'client_outdated' && clearedAt === null)
    expect(outdated.length).toBeLessThanOrEqual(1)
    expect(items.some(({ kind }) => kind === 'client_outdated')).toBe(true)
  })
})
