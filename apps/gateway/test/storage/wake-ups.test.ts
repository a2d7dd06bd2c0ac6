import { pino } from 'pino'
import { expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { openWakeUps, type WakeUp } from '#src/storage/wake-ups.ts'
import { createTestDatabase } from '../support/database.ts'
import { until } from '../support/until.ts'

const log = pino({ level: 'silent' })

test('a wake-up reaches all other processes, each once, and not its sender', async () => {
  await using testDatabase = await createTestDatabase()
  const options = { database: testDatabase.database, directUrl: undefined, log }
  await using sender = await openWakeUps(options)
  await using one = await openWakeUps(options)
  await using other = await openWakeUps(options)
  const heard = [sender, one, other].map((wakeUps) => {
    const list: WakeUp[] = []
    wakeUps.listen({ wokenUp: (wakeUp) => list.push(wakeUp), missed: () => undefined })
    return list
  })
  // More than one notice can hold.
  const sent = Array.from({ length: 1_000 }, () => ({ kind: 'session', id: newId() }) as const)
  for (const wakeUp of sent) sender.send(wakeUp)
  await until(() => heard[1]?.length === 1_000 && heard[2]?.length === 1_000)
  expect(heard).toEqual([[], sent, sent])
})
