import { Command, InvalidArgumentError, Option } from 'commander'
import { describeSettings, type Flags, loadConfig } from '#src/config.ts'
import { createLog, type LogFormat } from '#src/log.ts'
import { ERRORS } from '#src/model/errors.ts'
import { parsePhoneNumber } from '#src/model/phone-number.ts'
import { catchStrayErrors } from '#src/services/supervisor/stray-errors.ts'
import { linkFirstSession } from './link.ts'
import type { Output } from './output.ts'
import type { CliDependencies, RunningGateway } from './running-gateway.ts'
import { addSettingOptions, flagsOf } from './setting-options.ts'
import { aborted, listenForShutdown } from './shutdown-signal.ts'

const EXAMPLES = `
Examples:
  $ frontdesk start                                   serves the API on http://127.0.0.1:8480
  $ frontdesk start --link                            and links a first number: its QR code is drawn here
  $ frontdesk start --link --phone +4917012345678     the same by a code that is typed on the phone
  $ frontdesk start --session-hosts 2                 sessions in two processes: one dies, the other takes over
  $ frontdesk start --port 9000 --data-dir /var/lib/frontdesk
  $ DATABASE_URL=postgres://user:password@host/database frontdesk start`

interface StartOptions {
  link?: boolean
  phone?: string
  newPlatformKey?: boolean
}

function phoneNumber(text: string): string {
  const phone = parsePhoneNumber(text)
  if (phone === undefined) throw new InvalidArgumentError(ERRORS.invalid_phone_number.title)
  return phone
}

type StartedGateway = Pick<RunningGateway, 'url' | 'platformKey' | 'generatedMasterKeyFile'>

/** `frontdesk start`: the gateway, until it is told to end. */
export function startCommand({ startGateway }: CliDependencies, output: () => Output): Command {
  return addSettingOptions(new Command('start'))
    .description('Start the gateway: sessions, answers and the HTTP API')
    .option('--link', 'link a first number: one company, one session, its QR code in this terminal')
    .addOption(
      new Option('--phone <number>', 'link this number, by a code that is typed on it instead of a QR code')
        .argParser(phoneNumber)
        .implies({ link: true }),
    )
    .option('--new-platform-key', 'make one more platform key and print it, when the first one was lost')
    .addHelpText('after', EXAMPLES)
    .action(async (options: StartOptions & Record<string, unknown>) => {
      const startedAt = performance.now()
      const flags = flagsOf(options)
      const config = loadConfig(flags)
      const { isJson } = output()
      if (config.logLevel === 'debug' || config.logLevel === 'trace') Error.stackTraceLimit = 10
      const logFormat: LogFormat = process.stderr.isTTY && !isJson ? 'text' : 'json'
      const log = createLog({ level: config.logLevel, format: logFormat })
      using shutdown = listenForShutdown()
      using strayErrors = catchStrayErrors(log)
      {
        await using gateway = await startGateway(config, { log, logFormat })
        const platformKey =
          options.newPlatformKey === true
            ? await gateway.apiKeys.createPlatformKey('Made at the command line')
            : gateway.platformKey
        sayStarted({ ...gateway, platformKey }, output(), performance.now() - startedAt, flags)
        if (options.link === true)
          await linkFirstSession(gateway, { output: output(), signal: shutdown.signal, phone: options.phone })
        const broken = strayErrors.happened.then((sessionId) => {
          if (sessionId !== undefined) gateway.blame(sessionId)
        })
        await Promise.race([aborted(shutdown.signal), broken])
        output().say('\nEnding: sessions are closed and the database is shut down. Press Ctrl-C again to force it.')
      }
      output().report({ type: 'ended' })
    })
}

function sayStarted(gateway: StartedGateway, output: Output, tookMs: number, flags: Flags): void {
  const { url, platformKey, generatedMasterKeyFile } = gateway
  output.report({
    type: 'ready',
    url,
    tookMs: Math.round(tookMs),
    ...(platformKey === undefined ? {} : { platformKey }),
    ...(generatedMasterKeyFile === undefined ? {} : { generatedMasterKeyFile }),
  })
  output.say(`Frontdesk is ready after ${(tookMs / 1000).toFixed(1)} s. Press Ctrl-C to end it.

${describe(url, flags)}
`)
  if (generatedMasterKeyFile !== undefined) {
    output.say(`A MASTER KEY was generated: ${generatedMasterKeyFile}
Back it up now. All stored credentials are sealed with it: without it, every number has to be linked again.
`)
  }
  if (platformKey !== undefined) {
    output.say(`This is the PLATFORM KEY. It creates companies and their keys; keep it, since it is shown only this once:

  ${platformKey}
`)
  }
}

/** The addresses, the place of the data, and what is set otherwise than by default. */
function describe(url: string, flags: Flags): string {
  const changed = describeSettings(flags).filter(({ isDefault }) => !isDefault)
  const { dataDirectory, secrets } = loadConfig(flags)
  const lines = [
    ['Address', url],
    ['API', `${url}/docs`],
    ['Data', secrets.databaseUrl === undefined ? dataDirectory : 'in the Postgres of DATABASE_URL'],
    ...changed.map(({ name, value }) => [name, value ?? '']),
  ]
  const width = Math.max(...lines.map(([name = '']) => name.length))
  return lines.map(([name = '', value]) => `  ${name.padEnd(width)}  ${value}`).join('\n')
}
