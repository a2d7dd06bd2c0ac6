import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { connect, connectionConfig } from '#src/storage/connection.ts'
import { joinEmbeddedPostgres } from '#src/storage/embedded/embedded-postgres.ts'
import { until } from '../support/until.ts'
import { postmasterPid, serverProcesses } from './support/database-server.ts'
import { FrontDesk, SALON_PHONE } from './support/front-desk.ts'

const PATIENCE = { timeoutMs: 90_000 }
const CUSTOMER = '491720000055'
/** More than a segment of the server's log has, so that it is the tables that cannot grow. */
const FILE_LIMIT_BYTES = 17 * 1024 * 1024
const run = promisify(execFile)

test('a full disk under the database: sends are refused, what cannot be stored is not acknowledged, and all goes on when there is room', async () => {
  await using desk = await FrontDesk.open({ responders: [{ kind: 'none' }] })
  const { emulator } = desk
  await using server = await joinEmbeddedPostgres(desk.directory)
  const owner = await connect(connectionConfig(server.url))
  let count = 0
  const offer = async (): Promise<string> => {
    const text = `offer ${++count}`
    await desk.call('POST', '/v1/messages', {
      ...{ sessionId: desk.session.id, to: CUSTOMER, content: { kind: 'text', text } },
    })
    return text
  }
  const inbox = async () =>
    (await desk.messages()).flatMap(({ direction, whatsappId }) => (direction === 'inbound' ? [whatsappId] : []))
  const write = async (text: string) => (await emulator.sendText({ from: CUSTOMER, to: SALON_PHONE, text })).id
  const limit = async (bytes: string) => {
    const postmaster = await postmasterPid(desk.directory)
    // Only its own user may limit the server, which is not root.
    const { uid, gid } = await stat(join(desk.directory, 'postgres'))
    for (const pid of [postmaster, ...(await serverProcesses(postmaster))])
      await run('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`], { uid, gid })
  }
  const accepted = [await offer()]
  const written = [await write('before')]
  await until(async () => (await inbox()).length === 1)

  // The event log, which everything writes to, is larger already than a file may be from now on. Its rows are small: no
  // page has room for one more.
  await owner.query(`
    insert into event (company_id, type, session_id, subject_id, data)
    select company_id, 'webhook.test', id, id, jsonb_build_object('contactId', id)
    from session cross join generate_series(1, 110000) as n`)
  await owner.query('checkpoint')
  await limit(String(FILE_LIMIT_BYTES))
  const refusal = await until(async () => {
    try {
      accepted.push(await offer())
      return undefined
    } catch (error) {
      return String(error)
    }
  }, PATIENCE)
  expect(refusal).toMatch(/"status":507,.*"code":"database_full"/)
  for (const text of ['one', 'two', 'three']) written.push(await write(text))
  const ready = await until(async () => desk.call('GET', '/ready').then(() => undefined, String), PATIENCE)
  expect(ready).toContain('databaseDisk')
  const stored = await inbox()
  // What could not be grown may still have scraps of room, on pages that others have given up: never for a later one first.
  expect(stored).toEqual(written.slice(0, stored.length))
  // Receipts to what was sent may be among them.
  expect(await emulator.pending()).toBeGreaterThanOrEqual(written.length - stored.length)

  await limit('unlimited')
  await until(async () => (await emulator.pending()) === 0, { ...PATIENCE, what: 'WhatsApp has handed over all' })
  accepted.push(await offer())
  await until(async () => (await desk.displayed(CUSTOMER)).length === accepted.length, PATIENCE)
  expect(await desk.displayed(CUSTOMER)).toEqual(accepted)
  expect(await inbox()).toEqual(written)
  const alerts = await until(async () => {
    const { rows } = await owner.query<{ kind: string }>('select kind from alert')
    return rows.length > 0 ? rows : undefined
  }, PATIENCE)
  expect(alerts).toEqual([{ kind: 'database_full' }])
  await owner.end()
  expect(await emulator.counters()).toMatchObject({ decryptFailures: 0, retryReceipts: 0 })
}, 240_000)
