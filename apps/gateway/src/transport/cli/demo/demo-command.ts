import { Command, Option } from 'commander'
import { loadConfig, readModelKey } from '#src/config.ts'
import { createLog } from '#src/log.ts'
import type { CliDependencies } from '../running-gateway.ts'
import { listenForShutdown } from '../shutdown-signal.ts'
import { runDemo } from './demo.ts'

const EXAMPLES = `
Examples:
  $ frontdesk demo           stays up after the conversation, to play the customer yourself
  $ frontdesk demo --once    ends after it; the exit code says whether every step was seen on both sides
  $ frontdesk demo --ai      a model answers, looks up prices, hands over to a person, and answers again
  $ FRONTDESK_MODEL_KEY=sk-... frontdesk demo --model gpt-4.1-mini

Without --model the model is emulated too, and needs no key and no network.`

interface DemoFlags {
  once?: boolean
  ai?: boolean
  model?: string
  modelUrl: string
}

/** `frontdesk demo`: a first conversation without a phone. */
export function demoCommand({ startGateway }: CliDependencies): Command {
  return new Command('demo')
    .description(
      'A first conversation without a phone: a salon links its number, a customer writes, the answer comes back',
    )
    .option('--once', 'end after the conversation')
    .option('--ai', 'a language model answers instead of rules')
    .addOption(
      new Option('--model <name>', 'a real one, with --ai; its key is read from FRONTDESK_MODEL_KEY').implies({
        ai: true,
      }),
    )
    .option('--model-url <url>', 'with --model: an OpenAI-compatible endpoint', 'https://api.openai.com/v1')
    .addHelpText('after', EXAMPLES)
    .action(async ({ once = false, ai = false, model, modelUrl }: DemoFlags) => {
      using shutdown = listenForShutdown()
      const { signal } = shutdown
      try {
        await runDemo({
          once,
          signal,
          ...(ai && { ai: model === undefined ? {} : { model: { name: model, url: modelUrl, key: readModelKey() } } }),
          startGateway: ({ dataDirectory, emulator, allowedHosts }) => {
            // Nothing of the newcomer's own settings: the demonstration is the same everywhere.
            const config = loadConfig(
              { port: '0', dataDir: dataDirectory, logLevel: 'error' },
              {
                FRONTDESK_EMULATOR_URL: emulator.url,
                FRONTDESK_EMULATOR_ROOT_KEY: emulator.rootKey,
                FRONTDESK_ALLOWED_HOSTS: allowedHosts.join(),
              },
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
