import { Command } from 'commander'
import { loadConfig } from '#src/config.ts'
import { createLog } from '#src/log.ts'
import type { Output } from './output.ts'
import type { CliDependencies } from './running-gateway.ts'
import { addSettingOptions, flagsOf } from './setting-options.ts'

const EXAMPLES = `
Examples:
  $ DATABASE_URL=postgres://user:password@host/database frontdesk migrate
  $ frontdesk migrate --data-dir /var/lib/frontdesk`

/** `frontdesk migrate`: the database alone, for deployments that do not let the gateway change the schema itself. */
export function migrateCommand({ migrate }: CliDependencies, output: () => Output): Command {
  return addSettingOptions(new Command('migrate'), ['dataDirectory', 'databaseUrl', 'databaseDirectUrl', 'logLevel'])
    .description("Bring the database to this version's schema, and end. `start` does it too")
    .addHelpText('after', EXAMPLES)
    .action(async (options: Record<string, unknown>) => {
      const config = loadConfig(flagsOf(options))
      const applied = await migrate(config, { log: createLog({ level: config.logLevel }) })
      output().say(applied.length === 0 ? 'The database is up to date.' : `Applied: ${applied.join(', ')}`)
      output().report({ type: 'migrated', applied })
    })
}
