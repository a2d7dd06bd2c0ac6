import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { connect, connectionConfig } from '#src/storage/connection.ts'
import { appendEvents, readEvents } from '#src/storage/events.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { until } from '../support/until.ts'

let testDatabase: TestDatabase
let companyId: string
beforeAll(async () => {
  testDatabase = await createTestDatabase()
})
beforeEach(async () => {
  companyId = await testDatabase.createCompany()
})
afterAll(() => testDatabase[Symbol.asyncDispose]())

const append = (...types: string[]) =>
  appendEvents(
    testDatabase.database.worker,
    types.map((type) => ({ companyId, type })),
  )
const read = (query: Partial<Parameters<typeof readEvents>[2]> = {}) =>
  testDatabase.database.asCompany(companyId, (db) => readEvents(companyId, db, { limit: 100, ...query }))
const types = async (query: Partial<Parameters<typeof readEvents>[2]> = {}) =>
  (await read(query)).events.map(({ type }) => type)
/** Other tests' transactions on the same server hold events back for moments. */
const untilRead = (...expected: string[]) => until(async () => (await types()).join() === expected.join())

describe('the event log', () => {
  test('gives events back as they were appended, in order', async () => {
    const [sessionId, subjectId] = [newId(), newId()]
    await appendEvents(testDatabase.database.worker, [
      { companyId, type: 'message.received', sessionId, subjectId, data: { contactId: 'c' } },
      { companyId, type: 'company.created' },
    ])
    await untilRead('message.received', 'company.created')
    const { events } = await read()
    expect(events[0]).toEqual({
      id: expect.stringMatching(/^\d+-\d+$/) as string,
      companyId,
      type: 'message.received',
      sessionId,
      subjectId,
      data: { contactId: 'c' },
      createdAt: expect.any(Date) as Date,
    })
    expect(events[1]).toMatchObject({ sessionId: null, subjectId: null, data: {} })
  })

  test('goes on after the last event of a page', async () => {
    await append('a', 'b')
    await append('c', 'd', 'e')
    await untilRead('a', 'b', 'c', 'd', 'e')
    const seen: string[] = []
    let after: string | null = null
    for (;;) {
      const page: Awaited<ReturnType<typeof readEvents>> = await read({ limit: 2, ...(after !== null && { after }) })
      if (page.events.length === 0) {
        expect(page.next).toBe(after)
        break
      }
      seen.push(...page.events.map(({ type }) => type))
      after = page.next
    }
    expect(seen).toEqual(['a', 'b', 'c', 'd', 'e'])
    await append('f')
    await until(async () => (await types(after === null ? {} : { after })).join() === 'f')
  })

  test('has no cursor while it is empty', async () => expect(await read()).toEqual({ events: [], next: null }))

  test('gives only the types asked for', async () => {
    await append('a', 'b', 'a', 'c')
    await untilRead('a', 'b', 'a', 'c')
    expect(await types({ types: ['a', 'c'] })).toEqual(['a', 'a', 'c'])
    expect(await types({ types: [] })).toEqual([])
  })

  test('refuses a cursor that it has not given', async () => {
    for (const after of ['', 'x', '1', '1-', "1-1'; drop table event", `${'9'.repeat(30)}-1`])
      await expect(read({ after })).rejects.toMatchObject({ code: 'invalid_request' })
  })

  test("shows nothing of another company's, even to a reader that sees all", async () => {
    const other = await testDatabase.createCompany()
    await appendEvents(testDatabase.database.worker, [{ companyId: other, type: 'theirs' }])
    await append('ours')
    await untilRead('ours')
    expect((await readEvents(companyId, testDatabase.database.worker, { limit: 10 })).events).toHaveLength(1)
  })
})

test('no event is overtaken by one that was appended later and committed sooner', async () => {
  const slow = await connect(connectionConfig(testDatabase.url))
  await slow.query('begin')
  await slow.query(`insert into event (company_id, type) values ($1, 'slow')`, [companyId])
  await append('fast')
  // The fast one is committed; a reader that took it now would never see the slow one.
  expect(await types()).toEqual([])
  await slow.query('commit')
  await slow.end()
  await untilRead('slow', 'fast')
})
