import { type ChildProcess, spawn } from 'node:child_process'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { Supervisor } from '#src/services/supervisor/supervisor.ts'
import { createTestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'

/** A host that owns nothing, until it is told to end. */
const HOST = `process.on('message', ({ kind }) => {
  if (kind === 'start') process.send({ kind: 'began', life: { nodeId: '${newId()}', incarnation: 1 } })
  if (kind === 'end') process.exit()
})`

const startHost = (program = process.execPath): ChildProcess =>
  spawn(program, ['--eval', HOST], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })

test('a host that cannot be started, because the system has no room, is started when it has', async () => {
  await using testDatabase = await createTestDatabase()
  const children: ChildProcess[] = []
  const failures = [
    () => startHost('/nowhere/node'),
    () => {
      throw new Error('spawn ENOMEM')
    },
  ]
  await using supervisor = await Supervisor.start({
    database: testDatabase.database,
    log: pino({ level: 'silent' }),
    count: 1,
    start: null,
    spawn() {
      const fail = children.length > 0 ? failures.shift() : undefined
      const child = fail ? fail() : startHost()
      children.push(child)
      return child
    },
  })
  expect(supervisor.isComplete).toBe(true)
  children[0]?.kill('SIGKILL')
  await until(() => !supervisor.isComplete)
  await until(() => supervisor.isComplete)
  expect(failures).toEqual([])
})
