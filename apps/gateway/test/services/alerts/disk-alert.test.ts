import { pino } from 'pino'
import { expect, test } from 'vitest'
import { DiskAlert } from '#src/services/alerts/disk-alert.ts'
import { until } from '../../support/until.ts'

test('a disk that is found full again and again is one alert, cleared when it is not found full any more', async () => {
  const said: string[] = []
  using disk = new DiskAlert({
    alerts: { raise: ({ kind }) => said.push(`raise ${kind}`), clear: ({ kind }) => said.push(`clear ${kind}`) },
    log: pino({ level: 'silent' }),
    overAfterMs: 200,
  })
  for (let n = 0; n < 10; n += 1) disk.full()
  expect(disk.isFull).toBe(true)
  expect(said).toEqual(['raise database_full'])
  await until(() => !disk.isFull)
  disk.full()
  expect(said).toEqual(['raise database_full', 'clear database_full', 'raise database_full'])
})
