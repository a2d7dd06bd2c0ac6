import { sql } from 'kysely'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { OutcomeRecorder } from '#src/services/webhooks/outcome-recorder.ts'
import { connect, connectionConfig } from '#src/storage/connection.ts'
import { type AttemptOutcome, claimDeliveries } from '#src/storage/delivery-claims.ts'
import { createTestDatabase } from '../../support/database.ts'

test('an outcome that the database refuses holds up no other', async () => {
  await using testDatabase = await createTestDatabase()
  const { worker } = testDatabase.database
  const companyId = await testDatabase.createCompany()
  const endpointId = newId()
  await sql`
    insert into webhook_endpoint (id, company_id, url, ordering, secrets)
    values (${endpointId}, ${companyId}, 'https://example.com', 'none', '')`.execute(worker)
  await sql`
    insert into event (company_id, type, data)
    select ${companyId}, 'message.received', '{}' from generate_series(1, 3)`.execute(worker)
  const claimed = await claimDeliveries(worker, [{ endpointId, room: 3 }])
  const outcomes = claimed.map(({ id, claim, endpoint }, place): AttemptOutcome => {
    const status = place === 1 ? -1 : 200
    const attempt = { at: new Date().toISOString(), durationMs: 1, status, code: null, answer: '' }
    return {
      ...{ delivery: { id, claim }, endpoint, attempt, isDelivered: true, isGone: false },
      ...{ nextAttemptAt: undefined, notBefore: undefined },
    }
  })
  const owner = await connect(connectionConfig(testDatabase.url))
  await owner.query(`alter table webhook_delivery add check (not attempt_log @> '[{"status": -1}]')`)
  await owner.end()

  const recorder = new OutcomeRecorder({
    database: testDatabase.database,
    alerts: { raise: () => undefined, clear: () => undefined },
    log: pino({ level: 'silent' }),
    signal: new AbortController().signal,
  })
  await Promise.all(outcomes.map((outcome) => recorder.store(outcome)))
  const states = await worker.selectFrom('webhook_delivery').select('state').orderBy('id').execute()
  expect(states.map(({ state }) => state)).toEqual(['delivered', 'waiting', 'delivered'])
})
