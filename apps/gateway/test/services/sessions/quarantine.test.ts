import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Emulator, startEmulator } from 'whatsapp-emulator'
import { connect, connectionConfig } from '#src/storage/connection.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { ACTOR, TestSessions } from './support/test-sessions.ts'

const [REFUSED, WELL] = ['491700000001', '491700000002']
const CUSTOMER = '491719990001'

let emulator: Emulator
let database: TestDatabase
let host: TestSessions
beforeAll(async () => {
  emulator = await startEmulator({ behaviour: { sendsHistory: false } })
  database = await createTestDatabase()
  host = await TestSessions.start(database, emulator)
})
afterAll(async () => {
  await host[Symbol.asyncDispose]()
  await emulator.close()
  await database[Symbol.asyncDispose]()
})

const inbox = async (sessionId: string) => {
  const rows = await database.database.worker
    .selectFrom('message')
    .select('content')
    .where('session_id', '=', sessionId)
    .where('direction', '=', 'inbound')
    .orderBy('id')
    .execute()
  return rows.map(({ content }) => content.kind === 'text' && content.text)
}
const alerts = async (companyId: string, state: 'raised' | 'all' = 'raised') =>
  (await host.alerts.list(companyId, { state, limit: 10 })).items

test('a session whose rows the database refuses is stopped alone, says why, and a restart brings it back with all that came', async () => {
  const companyId = await database.createCompany()
  const refused = await host.link(companyId, emulator, REFUSED)
  const well = await host.link(companyId, emulator, WELL)
  const owner = await connect(connectionConfig(database.url))
  await owner.query(`alter table message add constraint refused check (session_id <> '${refused}') not valid`)

  for (const to of [REFUSED, WELL]) await emulator.sendText({ from: CUSTOMER, to, text: 'one' })
  const failed = await host.inState(companyId, refused, 'failed')
  expect(failed).toMatchObject({ reason: 'rows_refused', next: { action: 'start', at: null } })
  expect(failed.next.explanation).toContain('then restart it')
  expect(await until(async () => (await alerts(companyId))[0])).toMatchObject({
    kind: 'session_quarantined',
    sessionId: refused,
    detail: { reason: 'rows_refused' },
  })
  await emulator.sendText({ from: CUSTOMER, to: WELL, text: 'two' })
  await until(async () => (await inbox(well)).length === 2)
  await emulator.sendText({ from: CUSTOMER, to: REFUSED, text: 'two' })

  await owner.query('alter table message drop constraint refused')
  await owner.end()
  await host.sessions.restart(companyId, refused, ACTOR)
  await host.inState(companyId, refused, 'online')
  await until(async () => (await emulator.pending()) === 0)
  expect(await inbox(refused)).toEqual(['one', 'two'])
  expect(await inbox(well)).toEqual(['one', 'two'])
  await until(async () => (await alerts(companyId)).length === 0)
  expect(await alerts(companyId, 'all')).toHaveLength(1)
  expect(await emulator.counters()).toMatchObject({ decryptFailures: 0, retryReceipts: 0 })
})

test('rows that are refused once, as in a race with what is being deleted, stop nobody', async () => {
  const companyId = await database.createCompany()
  const sessionId = await host.link(companyId, emulator, '491700000003')
  const owner = await connect(connectionConfig(database.url))
  await owner.query(`
    create sequence refusals;
    create function refuse_once() returns trigger language plpgsql security definer as $$
    begin
      -- What nextval has counted stays counted, also when the statement is refused.
      if nextval('refusals') = 1 then raise check_violation; end if;
      return new;
    end $$;
    create trigger refuse_once before insert on message for each row execute function refuse_once()`)
  await owner.end()
  await emulator.sendText({ from: CUSTOMER, to: '491700000003', text: 'once' })
  await until(async () => (await inbox(sessionId)).length === 1)
  await host.inState(companyId, sessionId, 'online')
  expect(await alerts(companyId)).toEqual([])
})
