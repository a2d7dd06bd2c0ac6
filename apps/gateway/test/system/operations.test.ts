import { copyFile, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { until } from '../support/until.ts'
import { runFrontdesk } from '../transport/cli/run-frontdesk.ts'
import { FrontDesk, SALON_PHONE } from './support/front-desk.ts'

const CUSTOMER = '491719990001'
let desk: FrontDesk
let backups: string

beforeAll(async () => {
  desk = await FrontDesk.open({})
  backups = await mkdtemp(join(tmpdir(), 'frontdesk-backups-'))
})
afterAll(async () => {
  await desk[Symbol.asyncDispose]()
  await rm(backups, { recursive: true })
})

const facts = (output: string) =>
  output.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Record<string, unknown>]))

/** A message each way, after everything that was before. */
async function talk(text: string): Promise<void> {
  await desk.emulator.sendText({ from: CUSTOMER, to: SALON_PHONE, text })
  await until(async () =>
    (await desk.messages()).some(({ content }) => content.kind === 'text' && content.text === text),
  )
  const content = { kind: 'text', text: `answer to ${text}` }
  await desk.call('POST', '/v1/messages', { sessionId: desk.session.id, to: CUSTOMER, content })
  await until(async () => (await desk.displayed(CUSTOMER)).includes(`answer to ${text}`))
}

describe('beside a gateway that works', () => {
  test('keys are rotated, master and data, and it goes on, also after a restart', async () => {
    await talk('before')
    const rotatedData = await desk.command('keys', 'rotate', '--data')
    expect(rotatedData).toMatchObject({ code: 0 })
    expect(facts(rotatedData.output).at(-1)).toMatchObject({
      type: 'data_keys_rotated',
      companies: 1,
      companiesDone: 1,
    })
    await talk('with the new data key')
    const rotatedMaster = await desk.command('keys', 'rotate', '--master')
    expect(rotatedMaster).toMatchObject({ code: 0 })
    expect((await readdir(desk.directory)).filter((name) => name.startsWith('master.key')).sort()).toEqual([
      'master.key',
      'master.key.1',
    ])
    await talk('with the new master key')
    expect(await desk.command('keys', 'finish')).toMatchObject({ code: 0 })
    await talk('with the new keys alone')
    await desk.kill()
    await desk.restart()
    await desk.online()
    await talk('after a restart')
  })

  test('a company is backed up, and the backup is proved', async () => {
    const created = await desk.command('backup', 'create', '--to', backups)
    const [{ name } = {}] = facts(created.output)
    const listed = await desk.command('backup', 'list', '--from', backups)
    expect(facts(listed.output)).toMatchObject([{ type: 'backup', name }])
    const verified = await desk.command('backup', 'verify', String(name), '--from', backups)
    expect(facts(verified.output)).toMatchObject([{ type: 'backup_verified', sessionIds: [desk.session.id] }])
    // Made with the new master key, so the former one is of no use.
    const former = ['--master-key-file', join(desk.directory, 'master.key.1')]
    const refused = await desk.command('backup', 'verify', String(name), '--from', backups, ...former)
    expect(refused).toMatchObject({ code: 1 })
    expect(facts(refused.output)).toMatchObject([{ type: 'error', code: 'backup_key_wrong' }])
  })

  test('a session that runs is not overwritten', async () => {
    const refused = await desk.command('restore', '--all', '--from', backups)
    expect(facts(refused.output).at(-1)).toMatchObject({ type: 'error', code: 'session_running' })
    await talk('nothing has happened')
  })
})

test('an empty machine with nothing but the master key and the backups brings the sessions online', async () => {
  await using directory = await emptyMachine()
  await desk.kill()
  const settings = {
    FRONTDESK_EMULATOR_URL: desk.emulator.url,
    FRONTDESK_EMULATOR_ROOT_KEY: desk.emulator.rootKey,
  }
  const own = ['--data-dir', directory.path, '--log-level', 'warn']
  const restored = await runFrontdesk(['--json', 'restore', '--all', '--start', '--from', backups, ...own]).ended
  expect(restored).toMatchObject({ code: 0 })
  await using gateway = runFrontdesk(['--json', 'start', '--port', '0', ...own], settings)
  await gateway.fact('ready')
  // Held back by WhatsApp while the old machine is gone; only who has the credentials can take it.
  await desk.emulator.sendText({ from: CUSTOMER, to: SALON_PHONE, text: 'to the new machine' })
  await until(async () => (await desk.emulator.pending()) === 0, { what: 'the new machine has received it' })
  expect(await desk.emulator.companionStats({ phone: SALON_PHONE })).toHaveLength(1)
  gateway.signal('SIGTERM')
  await gateway.ended
})

async function emptyMachine(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'frontdesk-empty-'))
  await copyFile(join(desk.directory, 'master.key'), join(path, 'master.key'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) }
}
