import { describe, expect, it } from 'vitest'
import { settings } from '#src/deployment-settings.ts'
import { VERSION } from '#src/version.ts'
import { runFrontdesk } from './run-frontdesk.ts'

const run = (args: string[], environment?: Record<string, string>) => runFrontdesk(args, environment).ended

describe('frontdesk', () => {
  it('says its version', async () => {
    expect(await run(['--version'])).toEqual({ code: 0, output: VERSION, errors: '' })
  })

  it.each([
    [['--help'], ['start', 'migrate', 'demo', 'bench', 'settings', 'openapi']],
    [
      ['help', 'start'],
      ['--port <number>', '--link'],
    ],
    [['start', '--help'], Object.values(settings).flatMap(({ name, flag }) => [name, flag ?? name])],
    [
      ['migrate', '--help'],
      ['--data-dir', 'DATABASE_URL='],
    ],
    [['demo', '--help'], ['--once']],
    [
      ['bench', '--help'],
      ['sessions', 'pipeline', 'webhooks', 'startup'],
    ],
    [
      ['sessions', '--help'],
      ['--company <id>', 'FRONTDESK_PLATFORM_KEY'],
    ],
    [
      ['keys', 'rotate', '--help'],
      ['--data-dir', 'FRONTDESK_MASTER_KEY'],
    ],
    [
      ['restore', '--help'],
      ['--data-dir', 'FRONTDESK_BACKUP_URL'],
    ],
    [['settings', '--help'], ['--markdown']],
    [['openapi', '--help'], ['openapi.json']],
  ])('explains itself: %j', async (args, expected) => {
    const { code, output } = await run(args)
    expect(code).toBe(0)
    for (const part of expected) expect(output).toContain(part)
    if (args.at(-1) === '--help' && !['settings', 'bench'].includes(args[0] ?? ''))
      expect(output).toContain('Examples:\n  $ ')
  })

  it.each([
    [['strat'], 'start'],
    [['start', '--prot', '1'], '--port'],
    [['start', 'now'], 'too many arguments'],
    [[], 'Usage'],
    [['keys', 'rotate'], '--master and --data'],
    [['restore'], 'Name a backup'],
    [['backup', 'list'], '--from'],
    [['backup', 'create', '--company', 'salon'], 'An id looks like'],
    [['import', 'folder', '--company', 'salon', '--name', 'main'], 'An id looks like'],
    [['sessions', 'pause', '--all', '--key', 'k', '--url', 'localhost'], 'http://127.0.0.1:8480'],
    [['sessions', 'pause', '--all', '--state', 'failed', '--key', 'k'], 'cannot be used with'],
  ])('says in a line what is wrong with a command, and ends with 2: %j', async (args, hint) => {
    const { code, output, errors } = await run(args)
    expect({ code, output }).toEqual({ code: 2, output: '' })
    expect(errors).toContain(hint)
    expect(errors).not.toContain('    at ')
  })

  it('names each wrong setting and what it must be, and ends with 2', async () => {
    const environment = { FRONTDESK_PORT: 'x', FRONTDESK_MASTER_KEY: 'my-secret' }
    const { code, output, errors } = await run(['start', '--log-level', 'loud'], environment)
    expect({ code, output }).toEqual({ code: 2, output: '' })
    expect(errors.trimEnd().split('\n')).toEqual([
      'frontdesk: A setting is not valid. Correct it and start again.',
      expect.stringMatching(/^ {2}FRONTDESK_PORT must be a whole number from 0 to 65535\.$/),
      expect.stringMatching(/^ {2}FRONTDESK_MASTER_KEY must be 32 random bytes/),
      expect.stringMatching(/^ {2}FRONTDESK_LOG_LEVEL \(--log-level\) must be one of/),
    ])
  })

  it('says errors as JSON with --json, before the command or after it', async () => {
    for (const args of [
      ['--json', 'start'],
      ['start', '--json'],
    ]) {
      const { code, output, errors } = await run(args, { FRONTDESK_PORT: 'x' })
      expect({ code, errors }).toEqual({ code: 2, errors: '' })
      expect(JSON.parse(output)).toMatchObject({ type: 'error', code: 'configuration_invalid' })
    }
  })

  it('says wrong usage as JSON with --json', async () => {
    const { code, output, errors } = await run(['--json', 'strat'])
    expect({ code, errors }).toEqual({ code: 2, errors: '' })
    expect(JSON.parse(output)).toMatchObject({
      type: 'error',
      code: 'command_invalid',
      detail: expect.stringContaining("'strat'") as string,
    })
  })

  it('offers each command only the settings that it uses', async () => {
    const { output } = await run(['backup', 'list', '--help'])
    expect(output).toContain('FRONTDESK_BACKUP_URL')
    expect(output).not.toMatch(/--port|FRONTDESK_QR_TIMEOUT_MS/)
  })

  it('refuses the emulator in production', async () => {
    const { code, errors } = await run(['start'], {
      NODE_ENV: 'production',
      FRONTDESK_EMULATOR_URL: 'ws://127.0.0.1:7100/ws',
      FRONTDESK_EMULATOR_ROOT_KEY: 'ab'.repeat(32),
    })
    expect(code).toBe(2)
    expect(errors).toContain('must not be set in production')
  })

  it('shows what is set, without secrets', async () => {
    const environment = { FRONTDESK_PORT: '9', DATABASE_URL: 'postgres://u:s3cret@h/d' }
    const { code, output } = await run(['settings'], environment)
    expect(code).toBe(0)
    expect(output).toMatch(/^FRONTDESK_PORT +9$/m)
    expect(output).toMatch(/^DATABASE_URL +\[set, not shown\]$/m)
    expect(output).not.toContain('s3cret')
  })

  it('tells an old Node in one sentence what it needs', async () => {
    const old =
      'data:text/javascript,Object.defineProperty(process,"versions",{value:{...process.versions,node:"20.1.0"}})'
    const { code, output, errors } = await runFrontdesk(['start'], {}, ['--import', old]).ended
    expect({ code, output }).toEqual({ code: 1, output: '' })
    expect(errors).toMatch(/^frontdesk needs Node 24 or newer; this is 20\.1\.0\. .*\n$/)
  })
})
