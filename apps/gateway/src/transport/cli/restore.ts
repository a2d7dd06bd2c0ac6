import { Command } from 'commander'
import { loadConfig } from '#src/config.ts'
import { createLog } from '#src/log.ts'
import { FrontdeskError } from '#src/model/errors.ts'
import { newestBackups, restoreBackup, verifyBackup } from '#src/services/backups/restore-backup.ts'
import { backupKey, openStoreFor } from './backup-options.ts'
import { counted } from './counted.ts'
import type { Output } from './output.ts'
import { parseId } from './parse-id.ts'
import type { CliDependencies } from './running-gateway.ts'
import { addSettingOptions, DEPLOYMENT_SETTINGS, flagsOf } from './setting-options.ts'

const EXAMPLES = `
Examples:
  $ frontdesk restore <name>                    one company, as \`backup list\` names its backup
  $ frontdesk restore <name> --session <id>     one session of it
  $ frontdesk restore --all --start             everything onto an empty machine that has the master key

Restored sessions stay paused unless --start is given. Start them only when nothing else is connected with them.`

interface RestoreOptions extends Record<string, unknown> {
  all?: boolean
  session?: string
  start?: boolean
  from?: string
  masterKeyFile?: string
}

/** `frontdesk restore`: one session, one company, or everything. */
export function restoreCommand({ openDeployment }: CliDependencies, output: () => Output): Command {
  return addSettingOptions(new Command('restore'), [...DEPLOYMENT_SETTINGS, 'backupUrl'])
    .description('Bring sessions, companies or everything back from backups')
    .argument('[name]', 'the backup, as `backup list` names it')
    .option('--all', 'the newest backup of every company')
    .option('--session <id>', 'only this session', parseId)
    .option('--start', 'have the sessions run that ran when the backup was made')
    .option('--from <place>', 'file:///path, a path, or s3://bucket/prefix, instead of FRONTDESK_BACKUP_URL')
    .option('--master-key-file <path>', 'the master key that the backup was made with, if that was another one')
    .addHelpText('after', EXAMPLES)
    .action(async (name: string | undefined, options: RestoreOptions) => {
      if ((name === undefined) !== (options.all === true))
        throw new FrontdeskError('command_invalid', 'Name a backup, or give --all.')
      if (name === undefined && options.session !== undefined)
        throw new FrontdeskError('command_invalid', 'Name the backup that holds the session.')
      const config = loadConfig(flagsOf(options))
      using store = await openStoreFor(config, '--from', options.from)
      const masterKey = await backupKey(config, options.masterKeyFile)
      const names = name === undefined ? await newestBackups(store) : [name]
      // All are proved before anything is touched: a new database is claimed for what they say.
      const verified = []
      for (const each of names) verified.push(await verifyBackup(store, each, masterKey))
      const [first] = verified
      if (first === undefined) throw new FrontdeskError('backup_not_found')
      const log = createLog({ level: config.logLevel })
      await using deployment = await openDeployment(config, { log, newEnvironment: first.environment })
      if (verified.some(({ environment }) => environment !== deployment.environment))
        throw new FrontdeskError('database_environment_mismatch')
      const { session: sessionId, start = false } = options
      for (const each of names) {
        const restored = await restoreBackup(deployment, store, each, masterKey, { sessionId, start })
        output().say(
          `Restored ${each}: ${counted(restored.sessionIds.length, 'session')}, ${counted(restored.keys, 'key')}.`,
        )
        output().report({ type: 'restored', name: each, ...restored })
      }
      output().say(
        start
          ? 'Those that ran when the backup was made connect as soon as a gateway runs.'
          : 'They are paused. Start each with POST /v1/sessions/{id}/start, when nothing else is connected with it.',
      )
    })
}
