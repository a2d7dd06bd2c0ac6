import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { describeSettings, loadConfig } from '#src/config.ts'
import { settings } from '#src/deployment-settings.ts'
import { FrontdeskError } from '#src/model/errors.ts'
import { settingsPage } from '#src/transport/cli/setting-options.ts'

const HEX_KEY = 'ab'.repeat(32)

/** What is wrong with these settings, one sentence each. */
function problemsOf(environment: NodeJS.ProcessEnv, flags = {}): string[] {
  try {
    loadConfig(flags, environment)
  } catch (error) {
    if (error instanceof FrontdeskError && error.code === 'configuration_invalid')
      return error.detail?.split('\n') ?? []
    throw error
  }
  return []
}

describe('without settings', () => {
  it('the defaults hold that operators know', () => {
    expect(loadConfig({}, {})).toMatchObject({
      environment: 'whatsapp',
      http: { host: '127.0.0.1', port: 8480 },
      dataDirectory: resolve('data'),
      emulator: undefined,
      batching: { quietMs: 1500, maxMs: 8000, maxMessages: 50 },
      sessions: {
        provider: 'baileys',
        maxReconnectAttempts: 10,
        reconnectDelayMs: 5000,
        keepAliveIntervalMs: 30_000,
        qrTimeoutMs: 60_000,
        maxQrAttempts: 3,
      },
      secrets: {
        databaseUrl: undefined,
        databaseDirectUrl: undefined,
        masterKey: undefined,
        masterKeyFile: join(resolve('data'), 'master.key'),
      },
    })
  })

  it('an empty value counts as none', () => {
    expect(loadConfig({}, { FRONTDESK_PORT: '', DATABASE_URL: '' })).toEqual(loadConfig({}, {}))
  })
})

describe('a setting', () => {
  it('is read from the environment, and an option of the command line goes before it', () => {
    const environment = { FRONTDESK_PORT: '9000', FRONTDESK_DATA_DIR: '/srv/a', FRONTDESK_LOG_LEVEL: 'warn' }
    const config = loadConfig({ port: '0', dataDir: '/srv/b' }, environment)
    expect(config).toMatchObject({ http: { port: 0 }, dataDirectory: '/srv/b', logLevel: 'warn' })
    expect(config.secrets.masterKeyFile).toBe('/srv/b/master.key')
  })

  it.each([
    ['hex', HEX_KEY],
    ['base64', Buffer.from(HEX_KEY, 'hex').toString('base64')],
    ['base64url', Buffer.from(HEX_KEY, 'hex').toString('base64url')],
  ])('may hold the master key in %s', (_name, value) => {
    expect(loadConfig({}, { FRONTDESK_MASTER_KEY: value }).secrets.masterKey?.toString('hex')).toBe(HEX_KEY)
  })

  it('lists hosts in lower case', () => {
    const { allowedHosts } = loadConfig({}, { FRONTDESK_ALLOWED_HOSTS: 'Bot.internal, 10.0.0.7 ,' })
    expect(allowedHosts).toEqual(['bot.internal', '10.0.0.7'])
  })

  it('lists MCP servers by their origins', () => {
    const { mcpServers } = loadConfig(
      {},
      { FRONTDESK_MCP_SERVERS: 'https://MCP.example/mcp?a=b, http://10.0.0.7:3000 ,' },
    )
    expect(mcpServers).toEqual(['https://mcp.example', 'http://10.0.0.7:3000'])
  })
})

describe('a wrong setting', () => {
  it.each([
    ['FRONTDESK_PORT', 'http'],
    ['FRONTDESK_PORT', '65536'],
    ['FRONTDESK_PORT', '80.5'],
    ['FRONTDESK_PORT', '-1'],
    ['FRONTDESK_HOST', 'http://localhost'],
    ['DATABASE_URL', 'mysql://host/db'],
    ['DATABASE_URL', 'host=localhost password=s3cret'],
    ['FRONTDESK_MASTER_KEY', 'tooshort'],
    ['FRONTDESK_MASTER_KEY', HEX_KEY.slice(2)],
    ['FRONTDESK_LOG_LEVEL', 'verbose'],
    ['FRONTDESK_ALLOWED_HOSTS', 'https://bot.internal/path'],
    ['FRONTDESK_MCP_SERVERS', 'tools.internal'],
    ['FRONTDESK_MCP_SERVERS', 'https://tools.internal, ftp://tools.internal'],
    ['FRONTDESK_BATCH_QUIET_MS', '1.5s'],
    ['FRONTDESK_KEEP_ALIVE_INTERVAL_MS', '10'],
    ['FRONTDESK_MAX_BODY_BYTES', '12'],
    ['FRONTDESK_WA_VERSION', 'latest'],
  ])('is named, says what it must be, and does not repeat what it is: %s=%s', (name, value) => {
    const problems = problemsOf({ [name]: value })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(new RegExp(`^${name} must be .+\\.$`))
    if (value.length > 3) expect(problems[0]).not.toContain(value)
  })

  it('is named by its option too when that is where it comes from', () => {
    expect(problemsOf({}, { dataDir: '/x', port: 'x' })[0]).toContain('FRONTDESK_PORT (--port)')
  })

  it('is told together with all others', () => {
    const problems = problemsOf({ FRONTDESK_PORT: 'x', DATABASE_URL: 'x', FRONTDESK_LOG_LEVEL: 'x' })
    expect(problems).toHaveLength(3)
  })

  it('cannot make the longest wait shorter than the quiet one', () => {
    expect(problemsOf({ FRONTDESK_BATCH_QUIET_MS: '3000', FRONTDESK_BATCH_MAX_MS: '2000' })).toEqual([
      'FRONTDESK_BATCH_MAX_MS must be at least FRONTDESK_BATCH_QUIET_MS.',
    ])
  })
})

it('a way past a pooler needs the way through it', () => {
  const DATABASE_DIRECT_URL = 'postgres://localhost/frontdesk'
  expect(problemsOf({ DATABASE_DIRECT_URL })).toEqual([
    'DATABASE_URL must be set as well, because DATABASE_DIRECT_URL is set.',
  ])
  expect(problemsOf({ DATABASE_DIRECT_URL, DATABASE_URL: 'postgres://localhost:6432/frontdesk' })).toEqual([])
})

describe('the emulator', () => {
  const emulator = { FRONTDESK_EMULATOR_URL: 'ws://127.0.0.1:7100/ws', FRONTDESK_EMULATOR_ROOT_KEY: HEX_KEY }

  it('takes the place of WhatsApp when both of its settings stand', () => {
    expect(loadConfig({}, emulator)).toMatchObject({
      environment: 'emulator',
      emulator: { url: emulator.FRONTDESK_EMULATOR_URL, rootKey: HEX_KEY },
    })
  })

  it.each(['FRONTDESK_EMULATOR_URL', 'FRONTDESK_EMULATOR_ROOT_KEY'] as const)('is refused with %s alone', (name) => {
    const problems = problemsOf({ [name]: emulator[name] })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain('must be set as well')
  })

  it('is refused in production, in part and as a whole', () => {
    expect(problemsOf({ ...emulator, NODE_ENV: 'production' })).toEqual([
      'FRONTDESK_EMULATOR_URL must not be set in production (NODE_ENV is production).',
    ])
    expect(
      problemsOf({ FRONTDESK_EMULATOR_URL: emulator.FRONTDESK_EMULATOR_URL, NODE_ENV: 'production' }),
    ).toHaveLength(2)
    expect(problemsOf({ ...emulator, NODE_ENV: 'development' })).toEqual([])
  })

  it.each([
    'ws://10.0.0.1/ws',
    'wss://web.whatsapp.com/ws/chat',
    'ws://127.0.0.1.evil.example',
    'http://127.0.0.1',
    'ws://localhost.evil.example',
  ])('is refused on another machine or by another protocol: %s', (url) =>
    expect(problemsOf({ ...emulator, FRONTDESK_EMULATOR_URL: url })[0]).toMatch(/^FRONTDESK_EMULATOR_URL must be/),
  )

  it.each(['ws://localhost:1/x', 'ws://[::1]:1', 'ws://127.9.9.9:1'])('may be anywhere on this one: %s', (url) => {
    expect(problemsOf({ ...emulator, FRONTDESK_EMULATOR_URL: url })).toEqual([])
  })
})

describe('the description of the settings', () => {
  it('never shows a secret', () => {
    const secrets = { DATABASE_URL: 'postgres://u:s3cret@h/db', FRONTDESK_MASTER_KEY: HEX_KEY }
    const text = JSON.stringify(describeSettings({}, secrets))
    for (const secret of ['s3cret', HEX_KEY]) expect(text).not.toContain(secret)
    expect(text).toContain('[set, not shown]')
  })

  it('is the page docs/how-to/settings.md: after a change, `frontdesk settings --markdown`', async () => {
    const page = await readFile(new URL('../../../docs/how-to/settings.md', import.meta.url), 'utf8')
    expect(page).toBe(settingsPage())
    for (const { name, about } of Object.values(settings)) {
      expect(page).toContain(`\`${name}\``)
      expect(about).toMatch(/\.$/)
    }
  })
})
