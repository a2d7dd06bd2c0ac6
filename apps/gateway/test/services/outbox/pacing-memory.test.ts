import { expect, test } from 'vitest'
import { Pacing } from '#src/services/outbox/pacing.ts'
import type { Database } from '#src/storage/database.ts'

const SESSIONS = 300
/** Caches that allocate their bound beforehand took 600 KB. */
const MAX_BYTES_EACH = 100_000

test('a session that sends nothing takes next to no memory for its pace', () => {
  const options = {
    lease: { companyId: 'company', sessionId: 'session', nodeId: 'node', epoch: 1 },
    database: {} as Database,
    defaults: { messagesPerMinute: 0, chatMessagesPerMinute: 0, newContactsPerDay: 0, warmUpDays: 0, typing: false },
  }
  const before = memory()
  const pacings = Array.from({ length: SESSIONS }, () => new Pacing(options))
  expect((memory() - before) / SESSIONS).toBeLessThan(MAX_BYTES_EACH)
  expect(pacings).toHaveLength(SESSIONS)
})

function memory(): number {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
