import { Command } from 'commander'
import { loadConfig } from '#src/config.ts'
import { createLog } from '#src/log.ts'
import { createBackups } from '#src/services/backups/create-backup.ts'
import { verifyBackup } from '#src/services/backups/restore-backup.ts'
import { backupKey, openStoreFor } from './backup-options.ts'
import { counted } from './counted.ts'
import type { Output } from './output.ts'
import { parseId } from './parse-id.ts'
import type { CliDependencies } from './running-gateway.ts'
import { addSettingOptions, DEPLOYMENT_SETTINGS, flagsOf } from './setting-options.ts'

const EXAMPLES = `
Examples:
  $ frontdesk backup create --to /var/backups/frontdesk
  $ frontdesk backup list --from s3://bucket/prefix
  $ frontdesk backup verify <name>

Backups are sealed with a key that follows from the master key: without that key they are worth nothing.`

interface BackupOptions extends Record<string, unknown> {
  to?: string
  from?: string
  company?: string
  masterKeyFile?: string
}

/** The same for each, so that a person can go from one to the next with the same options. */
const SETTINGS = [...DEPLOYMENT_SETTINGS, 'backupUrl'] as const

const FROM = ['--from <place>', 'file:///path, a path, or s3://bucket/prefix, instead of FRONTDESK_BACKUP_URL'] as const

/** `frontdesk backup`: encrypted backups of credentials, keys and settings, beside those that are made by schedule. */
export function backupCommand({ openDeployment }: CliDependencies, output: () => Output): Command {
  const create = addSettingOptions(new Command('create'), SETTINGS)
    .description('Back up one company, or all')
    .option('--to <place>', FROM[1])
    .option('--company <id>', 'only this company', parseId)
    .action(async (options: BackupOptions) => {
      const config = loadConfig(flagsOf(options))
      using store = await openStoreFor(config, '--to', options.to)
      await using deployment = await openDeployment(config, { log: createLog({ level: config.logLevel }) })
      const count = await createBackups(deployment, store, options.company, (name) => {
        output().say(name)
        output().report({ type: 'backup_created', name })
      })
      output().say(
        count === 0 ? 'There is no company to back up.' : `${counted(count, 'company', 'companies')} backed up.`,
      )
    })
  const list = addSettingOptions(new Command('list'), SETTINGS)
    .description('List backups, by company and time')
    .option(...FROM)
    .option('--company <id>', 'only of this company', parseId)
    .action(async (options: BackupOptions) => {
      using store = await openStoreFor(loadConfig(flagsOf(options)), '--from', options.from)
      const backups = await store.list(options.company)
      if (backups.length === 0) output().say('There are no backups here.')
      for (const { name, bytes } of backups) {
        output().say(`${name}  ${bytes} bytes`)
        output().report({ type: 'backup', name, bytes })
      }
    })
  const verify = addSettingOptions(new Command('verify'), SETTINGS)
    .description('Read a whole backup and prove every byte of it; changes nothing')
    .argument('<name>', 'as `backup list` names it')
    .option(...FROM)
    .option('--master-key-file <path>', 'the master key that it was made with, if that was another one')
    .action(async (name: string, options: BackupOptions) => {
      const config = loadConfig(flagsOf(options))
      using store = await openStoreFor(config, '--from', options.from)
      const { sessionIds, ...rest } = await verifyBackup(store, name, await backupKey(config, options.masterKeyFile))
      output().say(
        `Whole and unaltered: made at ${rest.createdAt}, with ${counted(sessionIds.length, 'session')} and ${counted(rest.keys, 'key')}.`,
      )
      output().report({ type: 'backup_verified', name, ...rest, sessionIds })
    })
  return new Command('backup')
    .description("Back up companies' credentials, keys and settings, and look at backups")
    .addHelpText('after', EXAMPLES)
    .addCommand(create)
    .addCommand(list)
    .addCommand(verify)
}
