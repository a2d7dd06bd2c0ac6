import { Command } from 'commander'
import { loadConfig } from '#src/config.ts'
import { createLog } from '#src/log.ts'
import type { CliDependencies } from '../running-gateway.ts'
import { listenForShutdown } from '../shutdown-signal.ts'
import { runDemo } from './demo.ts'

const EXAMPLES = `
Examples:
  $ frontdesk demo           stays up after the conversation, to play the customer yourself
  $ frontdesk demo --once    ends after it; the exit code says whether every step was seen on both sides`

/** `frontdesk demo`: a first conversation without a phone. */
export function demoCommand({ startGateway }: CliDependencies): Command {
  return new Command('demo')
    .description(
      'A first conversation without a phone: a salon links its number, a customer writes, the answer comes back',
    )
    .option('--once', 'end after the conversation')
    .addHelpText('after', EXAMPLES)
    .action(async ({ once = false }: { once?: boolean }) => {
      using shutdown = listenForShutdown()
      const { signal } = shutdown
      try {
        await runDemo({
          once,
          signal,
          startGateway: ({ dataDirectory, emulator }) => {
            // Nothing of the newcomer's own settings: the demonstration is the same everywhere.
            const config = loadConfig(
              { port: '0', dataDir: dataDirectory, logLevel: 'error' },
              { FRONTDESK_EMULATOR_URL: emulator.url, FRONTDESK_EMULATOR_ROOT_KEY: emulator.rootKey },
            )
            return startGateway(config, { log: createLog({ level: config.logLevel, format: 'text' }) })
          },
        })
      } catch (error) {
        if (!signal.aborted) throw error
        process.exitCode = 130
      }
    })
}
