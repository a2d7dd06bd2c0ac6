import { pino } from 'pino'
import { expect, it, onTestFinished } from 'vitest'
import { OPERATOR } from '#src/services/security/actor.ts'
import { BulkOperations } from '#src/services/sessions/bulk-operations.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'

function startProcess({ database }: TestDatabase, onChanged: (sessionId: string) => void): BulkOperations {
  const log = pino({ level: 'silent' })
  return new BulkOperations({ database, linkingAttemptsPerHour: 20, onChanged, log })
}

it('is gone on with by another process where one has ended, and no session is told twice', async () => {
  const database = await createTestDatabase()
  onTestFinished(() => database[Symbol.asyncDispose]())
  const companyId = await database.createCompany()
  const ids: string[] = []
  for (let count = 0; count < 30; count++) ids.push(await database.createSession(companyId))

  const told: string[] = []
  const first = startProcess(database, (id) => told.push(id))
  const { id } = await first.begin(companyId, { action: 'restart', all: true }, OPERATOR)
  await until(() => told.length >= 5)
  await first[Symbol.asyncDispose]()
  const toldByFirst = told.length
  const left = database.database.worker.selectFrom('bulk_operation').selectAll().where('id', '=', id)
  expect(await left.executeTakeFirst()).toMatchObject({ done: toldByFirst, failed: 0, finished_at: null })

  // Two at once: each session is told by one of them.
  await using _second = startProcess(database, (each) => told.push(each))
  await using third = startProcess(database, (each) => told.push(each))
  await until(async () => (await third.get(companyId, id)).finishedAt)
  expect(await third.get(companyId, id)).toMatchObject({ total: 30, done: 30, failed: 0 })
  await until(() => told.length === 30)
  expect(told.toSorted()).toEqual(ids.toSorted())
  const commands = await database.database.worker.selectFrom('session_command').select('session_id').execute()
  expect(commands.map(({ session_id }) => session_id).toSorted()).toEqual(ids.toSorted())
})
