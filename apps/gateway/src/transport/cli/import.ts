import { Command } from 'commander'
import { loadConfig } from '#src/config.ts'
import { createLog } from '#src/log.ts'
import { importSession } from '#src/services/import/import-session.ts'
import { counted } from './counted.ts'
import type { Output } from './output.ts'
import { parseId } from './parse-id.ts'
import type { CliDependencies } from './running-gateway.ts'
import { addSettingOptions, DEPLOYMENT_SETTINGS, flagsOf } from './setting-options.ts'

const EXAMPLES = `
Examples:
  $ frontdesk import ./auth_info_baileys --company <id> --name main --start

Stop the program that uses the session first, and do not start it again: a session has one owner.`

interface ImportOptions extends Record<string, unknown> {
  company: string
  name: string
  start?: boolean
}

/** `frontdesk import`: a session of another program that uses Baileys, taken over without relinking. */
export function importCommand({ openDeployment }: CliDependencies, output: () => Output): Command {
  return addSettingOptions(new Command('import'), DEPLOYMENT_SETTINGS)
    .description("Take a linked session over from Baileys' folder or JSON file, without linking it anew")
    .argument('<path>', 'the folder of useMultiFileAuthState, or a JSON file of { creds, keys }')
    .requiredOption('--company <id>', 'the company that it becomes a session of', parseId)
    .requiredOption('--name <name>', 'the name of the new session')
    .option('--start', 'connect it at once')
    .addHelpText('after', EXAMPLES)
    .action(async (path: string, options: ImportOptions) => {
      const config = loadConfig(flagsOf(options))
      await using deployment = await openDeployment(config, { log: createLog({ level: config.logLevel }) })
      const { company: companyId, name, start = false } = options
      const { sessionId, keys } = await importSession(deployment, { path, companyId, name, start })
      output().say(`Imported as session ${sessionId}, with ${counted(keys, 'key')}.`)
      output().say(
        start
          ? 'It connects as soon as a gateway runs.'
          : `It is paused. Start it with POST /v1/sessions/${sessionId}/start.`,
      )
      output().report({ type: 'session_imported', companyId, sessionId, keys })
    })
}
