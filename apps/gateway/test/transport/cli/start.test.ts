import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventList } from '@frontdesk/api-contract'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Emulator, startEmulator } from 'whatsapp-emulator'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { runFrontdesk } from './run-frontdesk.ts'

let directory: string
let emulator: Emulator
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'frontdesk-cli-'))
  emulator = await startEmulator()
})
afterAll(async () => {
  await emulator.close()
  await rm(directory, { recursive: true, force: true })
})

const emulated = () => ({ FRONTDESK_EMULATOR_URL: emulator.url, FRONTDESK_EMULATOR_ROOT_KEY: emulator.rootKey })

/** Settings for a start on the test's database. */
const onDatabase = ({ url, masterKey }: Pick<TestDatabase, 'url' | 'masterKey'>) => ({
  ...emulated(),
  DATABASE_URL: url,
  FRONTDESK_MASTER_KEY: Buffer.from(masterKey).toString('hex'),
  FRONTDESK_PORT: '0',
  FRONTDESK_DATA_DIR: join(directory, 'unused'),
})

describe('the first start', () => {
  it('makes keys, serves, keeps others out of its data, and ends cleanly; the second one goes on', async () => {
    const settings = { ...emulated(), FRONTDESK_PORT: '0', FRONTDESK_DATA_DIR: join(directory, 'data') }
    await using first = runFrontdesk(['--json', 'start'], settings)
    const ready = await first.fact('ready')
    expect(ready).toMatchObject({
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      platformKey: expect.stringMatching(/^fd_platform_[\w-]{43}$/),
      generatedMasterKeyFile: join(directory, 'data', 'master.key'),
    })
    expect(await readFile(ready.generatedMasterKeyFile, 'utf8')).toMatch(/^[0-9a-f]{64}\n$/)
    const headers = { authorization: `Bearer ${ready.platformKey}` }
    const companies = await fetch(`${ready.url}/v1/companies`, { headers })
    expect(await companies.json()).toEqual({ items: [], next: null })
    expect((await fetch(`${ready.url}/ready`)).status).toBe(200)

    const intruder = await runFrontdesk(['start'], settings).ended
    expect(intruder).toMatchObject({ code: 1, output: '' })
    expect(intruder.errors).toContain('Another process is using this data directory.')
    expect(intruder.errors).not.toContain('    at ')

    first.signal('SIGINT')
    expect(await first.ended).toMatchObject({ code: 0 })
    expect(first.errors()).not.toContain(ready.platformKey)

    await using second = runFrontdesk(['start', '--new-platform-key'], settings)
    await until(() => second.lines.some((line) => line.includes('Frontdesk is ready')), { timeoutMs: 60_000 })
    second.signal('SIGTERM')
    const { code, output } = await second.ended
    expect(code).toBe(0)
    expect(output).toMatch(/Address +http:\/\/127\.0\.0\.1:\d+\n/)
    expect(output.match(/fd_platform_[\w-]{43}/)?.[0]).not.toBe(ready.platformKey)
    expect(output).toContain('PLATFORM KEY')
    expect(output).not.toContain('MASTER KEY')
  })
})

describe('a start that cannot be', () => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await createTestDatabase()
  })
  afterAll(() => database[Symbol.asyncDispose]())

  it('says that the master key is missing, and makes none', async () => {
    const { FRONTDESK_MASTER_KEY: _none, ...settings } = onDatabase(database)
    const { code, errors } = await runFrontdesk(['start'], settings).ended
    expect(code).toBe(1)
    expect(errors).toContain('no master key')
    expect(errors).toContain(join(directory, 'unused', 'master.key'))
    await expect(readFile(join(directory, 'unused', 'master.key'))).rejects.toThrow('ENOENT')
  })

  it('says that the master key is the wrong one', async () => {
    const settings = onDatabase({ ...database, masterKey: randomBytes(32) })
    const { code, output } = await runFrontdesk(['--json', 'start'], settings).ended
    expect(code).toBe(1)
    expect(JSON.parse(output)).toMatchObject({ type: 'error', code: 'master_key_wrong' })
  })

  it('says that the database cannot be reached, and not its password', async () => {
    const settings = { ...onDatabase(database), DATABASE_URL: 'postgres://frontdesk:s3cret@127.0.0.1:9/frontdesk' }
    for (const command of ['start', 'migrate']) {
      const { code, output, errors } = await runFrontdesk(['--json', command], settings).ended
      expect(code).toBe(1)
      expect(JSON.parse(output)).toMatchObject({ type: 'error', code: 'database_unreachable' })
      expect(output + errors).not.toContain('s3cret')
    }
  })

  it('says that the port is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await until(() => other.listening)
    const { port } = other.address() as AddressInfo
    const { code, errors } = await runFrontdesk(['start', '--port', String(port)], onDatabase(database)).ended
    other.close()
    expect(code).toBe(1)
    expect(errors).toContain('The port is taken.')

    // The keys of a first start are shown by the one that succeeds.
    await using next = runFrontdesk(['--json', 'start'], onDatabase(database))
    expect(await next.fact('ready')).toMatchObject({ platformKey: expect.stringMatching(/^fd_platform_/) })
  })
})

describe('migrate', () => {
  it('says what it did, and ends', async () => {
    await using database = await createTestDatabase()
    const { code, output } = await runFrontdesk(['--json', 'migrate'], onDatabase(database)).ended
    expect({ code, ...JSON.parse(output) }).toEqual({ code: 0, type: 'migrated', applied: [] })
  })
})

describe('start --link', () => {
  it('shows the code of the one company, and says when the phone has scanned it', async () => {
    await using database = await createTestDatabase()
    await using run = runFrontdesk(['--json', 'start', '--link'], onDatabase(database))
    const { url } = await run.fact('ready')
    const { companyKey } = await run.fact('company_created')
    const code = await run.fact('linking_code')
    await emulator.scanQr({ phone: '491700000001', qr: code.qr })
    expect(await run.fact('linked')).toMatchObject({ sessionId: code.sessionId, phone: '491700000001' })

    const events = async () => {
      const response = await fetch(`${url}/v1/events`, { headers: { authorization: `Bearer ${String(companyKey)}` } })
      return eventList.parse(await response.json()).items
    }
    const happened = await until(async () => {
      const items = await events()
      const states = items.flatMap((each) => (each.type === 'session.state_changed' ? [each.data.state] : []))
      return states.includes('online') ? [...items.slice(0, 2).map(({ type }) => type), ...states] : undefined
    })
    expect(happened.slice(0, 2)).toEqual(['company.created', 'session.created'])
    expect(happened).toContain('linking')
    expect(happened.at(-1)).toBe('online')
    run.signal('SIGINT')
    expect((await run.ended).code).toBe(0)

    // The next start finds both and links nothing anew.
    await using again = runFrontdesk(['--json', 'start', '--link'], onDatabase(database))
    expect(await again.fact('linked')).toMatchObject({ sessionId: code.sessionId })
    expect(again.lines.some((line) => line.includes('linking_code'))).toBe(false)
    again.signal('SIGTERM')
    expect((await again.ended).code).toBe(0)
    const companies = await database.database.worker.selectFrom('company').select('name').execute()
    expect(companies).toEqual([{ name: 'My company' }])
  })

  it('draws the code in the terminal for a person', async () => {
    await using database = await createTestDatabase()
    await using run = runFrontdesk(['start', '--link'], onDatabase(database))
    await until(() => run.lines.filter((line) => /[█▀▄]{5}/.test(line)).length > 20, { timeoutMs: 60_000 })
    expect(run.lines.join('\n')).toContain('Linked devices')
    run.signal('SIGINT')
    expect((await run.ended).code).toBe(0)
  })

  it('shows a code to type when the number is given', async () => {
    await using database = await createTestDatabase()
    const phone = '491700000002'
    const args = ['start', '--phone', '+49 170 000 0002']
    await using run = runFrontdesk(['--json', ...args], onDatabase(database))
    const { code, sessionId, expiresAt } = await run.fact('linking_code')
    expect(code).toMatch(/^[0-9A-Z]{4}-[0-9A-Z]{4}$/)
    expect(Date.parse(String(expiresAt))).toBeGreaterThan(Date.now())
    await emulator.enterPairingCode({ phone, code: String(code) })
    expect(await run.fact('linked')).toMatchObject({ sessionId, phone })
    run.signal('SIGINT')
    expect((await run.ended).code).toBe(0)
  })

  it('says why the phone was not linked, and what to do', async () => {
    await using database = await createTestDatabase()
    const phone = '491700000003'
    await emulator.fault({ kind: 'refuse_linking', phone, isOn: true, how: 'blocked' })
    await using run = runFrontdesk(['start', '--phone', phone], onDatabase(database))
    await until(() => run.lines.some((line) => line.startsWith('The gateway goes on.')), { timeoutMs: 60_000 })
    expect(run.lines.join('\n')).toContain('Remove a device on the phone, or wait a day')
    run.signal('SIGINT')
    expect((await run.ended).code).toBe(0)
  })

  it('refuses a number that is none', async () => {
    await using database = await createTestDatabase()
    const { code, errors } = await runFrontdesk(['start', '--phone', '0170 0000002'], onDatabase(database)).ended
    expect(code).toBe(2)
    expect(errors).toContain('This is not a phone number.')
  })
})

describe('sessions', () => {
  it('asks a gateway that runs for something of many sessions, and shows how far it has come', async () => {
    await using database = await createTestDatabase()
    await using gateway = runFrontdesk(['--json', 'start'], onDatabase(database))
    const { url, platformKey } = await gateway.fact('ready')
    const companyId = await database.createCompany()
    for (let count = 0; count < 3; count++) await database.createSession(companyId)
    const ask = (...args: string[]) =>
      runFrontdesk(['sessions', ...args, '--url', url], { FRONTDESK_PLATFORM_KEY: platformKey }).ended

    const { code, output } = await ask('pause', '--company', companyId)
    expect(code).toBe(0)
    expect(output.split('\n').at(-1)).toBe(`[${'#'.repeat(30)}] 3 of 3 told`)
    const rows = await database.database.worker.selectFrom('session').select('desired').execute()
    expect(rows.map(({ desired }) => desired)).toEqual(['stopped', 'stopped', 'stopped'])

    expect(
      await runFrontdesk(['sessions', 'pause', '--all', '--url', url, '--key', 'fd_platform_wrong']).ended,
    ).toMatchObject({
      code: 1,
      errors: expect.stringContaining('This API key is not known') as string,
    })
    expect(await ask('explode')).toMatchObject({
      code: 2,
      errors: expect.stringContaining('Allowed choices') as string,
    })
    expect(await ask('delete')).toMatchObject({
      code: 2,
      errors: expect.stringContaining('Say which sessions') as string,
    })
    expect(await ask('pause', '--state', 'failed')).toMatchObject({
      code: 0,
      output: expect.stringContaining('No session is one of these') as string,
    })
    gateway.signal('SIGINT')
    await gateway.ended
    expect(await ask('pause', '--all')).toMatchObject({
      code: 1,
      errors: expect.stringContaining(`No gateway answers at ${url}`) as string,
    })
  })
})
