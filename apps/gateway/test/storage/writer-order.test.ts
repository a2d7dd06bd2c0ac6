import fc from 'fast-check'
import { sql } from 'kysely'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { startWriter } from '#src/storage/writer/writer.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { startFaultyProxy } from './faulty-proxy.ts'
import { keyChange, openTestSession, type SessionFixture } from './session-fixture.ts'

/** What happens to a session in one step of a run. */
const step = fc.oneof(
  { weight: 20, arbitrary: fc.record({ kind: fc.constant('publish' as const), session: fc.nat({ max: 2 }) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('yield' as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('look' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const) }) },
)

/**
 * The n-th change of a session sets its key `counter` to n and stores the message `n`; so what the database holds tells
 * exactly which changes are committed.
 */
async function expectPrefix(testDatabase: TestDatabase, session: SessionFixture, published: number): Promise<number> {
  const { stored, counter } = await testDatabase.database.worker
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute(async (db) => {
      const { rows: messages } = await sql<{ text: string }>`
        select content->>'text' as text from message where session_id = ${session.sessionId} order by id`.execute(db)
      const { rows: keys } = await sql<{ value: Buffer }>`
        select value from signal_key where session_id = ${session.sessionId}`.execute(db)
      const sealer = await testDatabase.keyRing.sealerOf(session.companyId)
      const value = keys[0]?.value
      const plain = value && (await sealer.open(value, `${session.sessionId}/session/counter`))
      return { stored: messages.map(({ text }) => Number(text)), counter: plain ? Number(Buffer.from(plain)) : 0 }
    })
  expect(stored).toEqual(Array.from({ length: stored.length }, (_, index) => index + 1))
  expect(counter).toBe(stored.length)
  expect(stored.length).toBeLessThanOrEqual(published)
  return stored.length
}

test('at every moment the database holds a prefix of what each session has published, and at least what it was told', async () => {
  await using testDatabase = await createTestDatabase()
  await using proxy = await startFaultyProxy(testDatabase.database.url)
  const database = { ...testDatabase.database, url: proxy.url }
  await using writer = await startWriter({ database, log: pino({ level: 'silent' }) })

  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120 }), async (steps) => {
      const sessions = await Promise.all([0, 1, 2].map(() => openTestSession(testDatabase, writer)))
      for (const happening of steps) {
        if (happening.kind === 'publish') {
          const session = sessions[happening.session]
          const number = String((session?.store.published ?? 0) + 1)
          session?.store.publish({
            keys: [keyChange('session', 'counter', number)],
            messages: [session.message(number)],
          })
        } else if (happening.kind === 'yield') {
          await new Promise((resolve) => setImmediate(resolve))
        } else if (happening.kind === 'look') {
          for (const session of sessions) {
            const told = Array.from({ length: session.store.published }, (_, index) => index + 1).filter((sequence) =>
              session.store.isCommitted(sequence),
            ).length
            expect(await expectPrefix(testDatabase, session, session.store.published)).toBeGreaterThanOrEqual(told)
          }
        } else if (happening.kind === 'lose') {
          proxy.loseAnswerTo('frontdesk_flush')
        } else {
          proxy.cut()
          proxy.restore()
        }
      }
      for (const session of sessions) {
        const { published } = session.store
        await session.store.committed(published)
        expect(await expectPrefix(testDatabase, session, published)).toBe(published)
        expect(session.news.flatMap(({ messages }) => messages)).toHaveLength(published)
        await session.store.close()
      }
    }),
    { numRuns: 25 },
  )
})
