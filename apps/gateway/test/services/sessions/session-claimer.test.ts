import { pino } from 'pino'
import { expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { SessionClaimer } from '#src/services/sessions/session-claimer.ts'
import type { Membership } from '#src/services/supervisor/membership.ts'
import { claimSessions } from '#src/storage/leases.ts'
import { beginLife } from '#src/storage/nodes.ts'
import { createTestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'

test('a node that is alone hands nothing over, also while one of its sessions is just being paused', async () => {
  await using testDatabase = await createTestDatabase()
  const { database } = testDatabase
  const life = await beginLife(database.worker, newId())
  await testDatabase.createSession(await testDatabase.createCompany())
  await claimSessions(database, life, { limit: 1 })
  let asked = 0
  let handedOver = 0
  await using claimer = new SessionClaimer({
    database,
    membership: { life } as Membership,
    log: pino({ level: 'silent' }),
    // The second one is stored as paused, and still closing its connection.
    running() {
      asked += 1
      return 2
    },
    claimed: () => undefined,
    notClaimed: () => undefined,
    handOver: () => {
      handedOver += 1
    },
    released: () => undefined,
  })
  claimer.claimAll()
  // For those named, and for the node's share.
  await until(() => asked >= 2)
  expect(handedOver).toBe(0)
})
