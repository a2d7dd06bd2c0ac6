import { expect, test } from 'vitest'
import { connect, connectionConfig } from '#src/storage/connection.ts'
import { FLUSH_SETTINGS } from '#src/storage/writer/flush-connection.ts'
import { flushStatement } from '#src/storage/writer/flush-statement.ts'
import { createTestDatabase } from '../support/database.ts'

test('a flush planned while the tables are empty looks every row up by its index, as it must when they have grown', async () => {
  await using testDatabase = await createTestDatabase()
  const client = await connect(connectionConfig(testDatabase.url, 'frontdesk_worker', FLUSH_SETTINGS))
  const { rows } = await client.query<Record<string, string>>(`explain (generic_plan) ${flushStatement([]).text}`)
  await client.end()
  const lines = rows.map((row) => row['QUERY PLAN']?.trim() ?? '')
  const scans = lines.flatMap((line, index) => {
    const found = /-> +((?!Subquery)\w.* Scan)(?: using \w+)? on (?:message|signal_key|session_lease|contact)\b/.exec(
      line,
    )
    return found ? [{ how: found[1], condition: lines[index + 1] ?? '' }] : []
  })
  // Keys to delete, leases, contacts and receipts, with those that are then changed.
  expect(scans).toHaveLength(6)
  for (const { how, condition } of scans) {
    expect(how).toMatch(/^(Index|Tid) Scan$/)
    expect(condition).toMatch(/^(Index|TID) Cond: \((\(session_id|session_id|id|ctid) = /)
  }
})
