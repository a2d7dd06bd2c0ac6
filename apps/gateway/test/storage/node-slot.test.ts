import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { takeNodeSlot } from '#src/storage/node-slot.ts'

const log = pino({ level: 'silent' })
let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'frontdesk-slots-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

test('an identity is the same from start to start, and one process has it at a time', () => {
  const first = takeNodeSlot(directory, log)
  const second = takeNodeSlot(directory, log)
  expect(second.nodeId).not.toBe(first.nodeId)
  first[Symbol.dispose]()
  const again = takeNodeSlot(directory, log)
  expect(again.nodeId).toBe(first.nodeId)
  again[Symbol.dispose]()
  second[Symbol.dispose]()
})

test('where nothing can be written, each start has another identity', async () => {
  const file = join(directory, 'not-a-directory')
  await writeFile(file, '')
  expect(takeNodeSlot(file, log).nodeId).not.toBe(takeNodeSlot(file, log).nodeId)
})

test('an identity that was damaged is replaced', async () => {
  const { nodeId, ...slot } = takeNodeSlot(directory, log)
  slot[Symbol.dispose]()
  await writeFile(join(directory, 'nodes', '0', 'id'), 'torn')
  using damaged = takeNodeSlot(directory, log)
  expect(damaged.nodeId).toMatch(/^[0-9a-f-]{36}$/)
  expect(damaged.nodeId).not.toBe(nodeId)
})
