import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Alert, EventList, LinkingCode, List, Session } from '@frontdesk/api-contract'
import { expect, test } from 'vitest'
import { until } from '../support/until.ts'
import { FrontDesk, SALON_PHONE } from './support/front-desk.ts'

const PATIENCE = { timeoutMs: 90_000 }
const PHONE = '491700000002'
const CUSTOMER = '491720000077'

test('a session that ends its process whenever it connects is stopped, and the others go on', async () => {
  await using resources = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'frontdesk-poison-'))
  resources.defer(() => rm(directory, { recursive: true }))
  const poison = join(directory, 'poison')
  await writeFile(poison, '')
  const desk = resources.use(
    await FrontDesk.open({ responders: [{ kind: 'none' }] }, ['--session-hosts', '2'], {
      NODE_OPTIONS: `--import ${new URL('./support/poisoned-session.ts', import.meta.url).href}`,
      POISONED_SESSION: poison,
    }),
  )
  const { emulator } = desk
  const { id } = await desk.call<Session>('POST', '/v1/sessions', { name: 'poisoned' })
  const show = () => desk.call<Session>('GET', `/v1/sessions/${id}`)
  const inState = (state: string) =>
    until(async () => ((await show()).state === state ? await show() : undefined), { ...PATIENCE, what: state })
  await desk.call('POST', `/v1/sessions/${id}/link`, { method: 'qr' })
  const code = await until(async () => {
    const shown = await desk.call<LinkingCode>('GET', `/v1/sessions/${id}/code`).catch(() => undefined)
    return shown?.kind === 'qr' ? shown : undefined
  }, PATIENCE)
  await emulator.scanQr({ phone: PHONE, qr: code.qr })
  await inState('online')

  await writeFile(poison, id)
  await desk.call('POST', `/v1/sessions/${id}/restart`)
  expect(await inState('failed')).toMatchObject({ reason: 'crashed_often', next: { action: 'start' } })
  const alerts = () => desk.call<List<Alert>>('GET', '/v1/alerts').then(({ items }) => items)
  const [alert] = await until(async () => ((await alerts()).length > 0 ? await alerts() : undefined), PATIENCE)
  expect(alert).toMatchObject({ kind: 'session_quarantined', sessionId: id, detail: { reason: 'crashed_often' } })
  const { items } = await desk.call<EventList>('GET', '/v1/events?limit=1000')
  const crashes = items.filter(({ data }) => 'reason' in data && data.reason === 'crashed')
  expect(crashes.map(({ sessionId }) => sessionId)).toEqual([id, id, id])
  // The other one comes back wherever it was.
  for (const [to, text] of [SALON_PHONE, PHONE].map((each) => [each, `to ${each}`] as const))
    await emulator.sendText({ from: CUSTOMER, to, text })
  await desk.online()
  await until(async () => (await desk.messages()).length === 1, PATIENCE)

  await writeFile(poison, '')
  await desk.call('POST', `/v1/sessions/${id}/restart`)
  await inState('online')
  await until(async () => (await emulator.pending()) === 0, PATIENCE)
  await until(async () => (await alerts()).length === 0, PATIENCE)
  expect(await desk.messages()).toHaveLength(2)
  expect(await emulator.counters()).toMatchObject({ decryptFailures: 0, retryReceipts: 0, framesAfterReplacement: 0 })
}, 240_000)
