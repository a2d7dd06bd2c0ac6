import type { CompanySettings, Session } from '@frontdesk/api-contract'
import { expect, test } from 'vitest'
import { until } from '../support/until.ts'
import { postmasterPid } from './support/database-server.ts'
import { FrontDesk, SALON_PHONE } from './support/front-desk.ts'

const CUSTOMER = '491720000001'

test('kill -9 of the database under two session hosts in a burst: nothing is lost, and a command still reaches the owner', async () => {
  const answersAll: CompanySettings = {
    responders: [{ kind: 'rules' }],
    fallback: 'Thank you!',
    batching: { quietMs: 0 },
  }
  await using desk = await FrontDesk.open(answersAll, ['--session-hosts', '2'])
  const { emulator } = desk
  await emulator.prepareBurst({ to: [SALON_PHONE], customers: 5, each: 100 })
  const firing = emulator.fireBurst({ perSecond: 100 })
  await until(async () => (await desk.messages()).length > 10)
  const pid = await postmasterPid(desk.directory)
  process.kill(pid, 'SIGKILL')
  const sent = await firing
  await until(async () => (await postmasterPid(desk.directory)) !== pid, { timeoutMs: 60_000 })
  await until(async () => (await emulator.pending()) === 0, { what: 'WhatsApp has handed over all', timeoutMs: 60_000 })
  await desk.online()
  const inbox = (await desk.messages()).filter(({ direction }) => direction === 'inbound')
  expect(inbox.map(({ whatsappId }) => whatsappId).toSorted()).toEqual(sent.map(({ id }) => id).toSorted())

  // The process that answers the API owns no session: the owner hears of the command through the database.
  const { logins } = await emulator.counters()
  await desk.call<Session>('POST', `/v1/sessions/${desk.session.id}/restart`)
  await until(async () => (await emulator.counters()).logins > logins, { what: 'the session has logged in anew' })
  await desk.online()
  // So it does of the company's settings.
  await desk.call('PATCH', '/v1/company', { settings: { responders: [{ kind: 'rules' }], fallback: 'We are back.' } })
  await emulator.sendText({ from: CUSTOMER, to: SALON_PHONE, text: 'Are you there?' })
  await until(async () => (await desk.displayed(CUSTOMER)).includes('We are back.'), { timeoutMs: 30_000 })
  expect(await emulator.counters()).toMatchObject({ decryptFailures: 0, framesAfterReplacement: 0 })
}, 180_000)
