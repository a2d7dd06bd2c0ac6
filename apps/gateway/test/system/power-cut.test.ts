import { execFile } from 'node:child_process'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { AcceptedMessage } from '@frontdesk/api-contract'
import { expect, test } from 'vitest'
import { until } from '../support/until.ts'
import { postmasterPid, serverProcesses } from './support/database-server.ts'
import { FrontDesk, SALON_PHONE } from './support/front-desk.ts'

const PATIENCE = { timeoutMs: 90_000 }
const CUSTOMER = '491720000042'
const copy = promisify(execFile)

test('a power cut in a burst: what WhatsApp and the API were told is in the image of the disk, once', async () => {
  await using desk = await FrontDesk.open({ responders: [{ kind: 'none' }] })
  const { emulator, directory } = desk
  const [data, image] = [join(directory, 'postgres'), join(directory, 'image')]
  await emulator.prepareBurst({ to: [SALON_PHONE], customers: 10, each: 400 })
  const firing = emulator.fireBurst({ perSecond: 200 })
  const accepted = new Map<string, string>()
  let isCut = false
  const writing = (async () => {
    for (let n = 0; !isCut; n += 1) {
      const body = { sessionId: desk.session.id, to: CUSTOMER, content: { kind: 'text', text: `offer ${n}` } }
      const answer = await desk.call<AcceptedMessage>('POST', '/v1/messages', body).catch(() => undefined)
      if (answer !== undefined) accepted.set(answer.id, `offer ${n}`)
    }
  })()
  await until(async () => accepted.size > 20 && (await desk.messages()).length > 100, PATIENCE)

  // All writers stand still, so that the copy is what a disk without power holds.
  const server = await freeze(await postmasterPid(directory))
  isCut = true
  await copy('cp', ['-a', data, image])
  const told = [...accepted.keys()]
  const displayed = await desk.displayed(CUSTOMER)
  await desk.kill()
  for (const pid of server) process.kill(pid, 'SIGKILL')
  await writing
  const sent = await firing
  await rm(data, { recursive: true })
  await rename(image, data)

  await desk.restart()
  await until(async () => (await emulator.pending()) === 0, { ...PATIENCE, what: 'WhatsApp has handed over all' })
  const messages = await until(async () => {
    const all = await desk.messages()
    return all.every(({ direction, status }) => direction === 'inbound' || status === 'read') ? all : undefined
  }, PATIENCE)
  const inbox = messages.filter(({ direction }) => direction === 'inbound').map(({ whatsappId }) => whatsappId)
  expect(inbox.toSorted()).toEqual(sent.map(({ id }) => id).toSorted())
  const stored = messages.filter(({ direction }) => direction === 'outbound')
  expect(stored.map(({ id }) => id)).toEqual(expect.arrayContaining(told))
  expect(await desk.displayed(CUSTOMER)).toEqual(stored.map(({ content }) => 'text' in content && content.text))
  expect(displayed.length).toBeGreaterThan(0)
  expect(await emulator.counters()).toMatchObject({ decryptFailures: 0, retryReceipts: 0 })
}, 240_000)

/** Stops the server and all its processes where they are. Returns their ids. */
async function freeze(postmaster: number): Promise<number[]> {
  process.kill(postmaster, 'SIGSTOP')
  const others = await serverProcesses(postmaster)
  for (const pid of others) process.kill(pid, 'SIGSTOP')
  return [postmaster, ...others]
}
