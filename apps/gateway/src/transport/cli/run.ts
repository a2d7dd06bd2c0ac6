import { Command, CommanderError } from 'commander'
import { FrontdeskError } from '#src/model/errors.ts'
import { VERSION } from '#src/version.ts'
import { backupCommand } from './backup.ts'
import { benchCommand } from './bench.ts'
import { demoCommand } from './demo/demo-command.ts'
import { importCommand } from './import.ts'
import { keysCommand } from './keys.ts'
import { migrateCommand } from './migrate.ts'
import { openapiCommand } from './openapi.ts'
import { createOutput, exitCodeOf, type Output } from './output.ts'
import { restoreCommand } from './restore.ts'
import type { CliDependencies } from './running-gateway.ts'
import { sessionHostCommand } from './session-host.ts'
import { sessionsCommand } from './sessions.ts'
import { settingsCommand } from './settings.ts'
import { startCommand } from './start.ts'

const EXAMPLES = `
Examples:
  $ frontdesk demo                 a first conversation, without a phone
  $ frontdesk start --link         link your own number
  $ frontdesk start --help         all options and settings
  $ frontdesk --json start         one JSON object a line on standard output; logs go to standard error

Exit codes: 0 done, 1 failed, 2 a wrong command or setting, 130 and 143 ended by force.`

const END_GRACE_MS = 250

/** What commander throws for help that was asked for, or shown because a command was left out. */
const HELP_CODES = ['commander.helpDisplayed', 'commander.help', 'commander.version']

/** Runs one command to its end. Errors are said in a line or two; sets the process's exit code. */
export async function runCli(argv: readonly string[], dependencies: CliDependencies): Promise<void> {
  const program = new Command('frontdesk')
  let created: Output | undefined
  const output = () => {
    created ??= createOutput(program.opts<{ json?: boolean }>().json === true)
    return created
  }
  program
    .description('The WhatsApp front desk for platforms that serve thousands of companies')
    .version(VERSION)
    .option('--json', 'one JSON object a line on standard output, for programs')
    .addHelpText('after', EXAMPLES)
    // Wrong usage is said like every other error, further down.
    .configureOutput({ outputError: () => undefined })
    .exitOverride()
  const commands = [
    demoCommand(dependencies),
    startCommand(dependencies, output),
    migrateCommand(dependencies, output),
    keysCommand(dependencies, output),
    backupCommand(dependencies, output),
    restoreCommand(dependencies, output),
    importCommand(dependencies, output),
    sessionsCommand(output),
    settingsCommand(output),
    openapiCommand(),
  ]
  for (const command of commands) {
    program.addCommand(command.copyInheritedSettings(program))
    for (const subcommand of command.commands) subcommand.copyInheritedSettings(program)
  }
  program.addCommand(sessionHostCommand(dependencies), { hidden: true })
  // Reads nothing by itself, so that it inherits nothing.
  program.addCommand(benchCommand(argv))

  try {
    await program.parseAsync(argv, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError && HELP_CODES.includes(error.code)) {
      if (error.exitCode !== 0) process.exitCode = 2
      return
    }
    const failure = error instanceof CommanderError ? wrongUsage(error) : error
    output().fail(failure)
    process.exitCode = exitCodeOf(failure)
  } finally {
    endSoon()
  }
}

const wrongUsage = ({ message }: CommanderError) =>
  new FrontdeskError('command_invalid', message.replace(/^error: /, ''))

/**
 * The command is over and has closed what it opened. What may still keep the process up is a timer inside of a library:
 * Baileys leaves one of 30 s behind after it has uploaded pre-keys (Socket/socket.js, uploadPreKeys), out of our reach.
 */
function endSoon(): void {
  setTimeout(() => process.exit(), END_GRACE_MS).unref()
}
