import { Command } from 'commander'
import { loadConfig } from '#src/config.ts'
import { createLog } from '#src/log.ts'
import { FrontdeskError } from '#src/model/errors.ts'
import { finishKeyRotation, type RotationProgress, rotateDataKeys } from '#src/services/security/rotate-data-keys.ts'
import { rotateMasterKey } from '#src/services/security/rotate-master-key.ts'
import type { Output } from './output.ts'
import { parseId } from './parse-id.ts'
import type { CliDependencies } from './running-gateway.ts'
import { addSettingOptions, DEPLOYMENT_SETTINGS, flagsOf } from './setting-options.ts'
import { listenForShutdown } from './shutdown-signal.ts'

const SAY_EVERY_MS = 1_000

const EXAMPLES = `
Examples:
  $ frontdesk keys rotate --data                  new data keys for all companies, while the gateway works
  $ frontdesk keys rotate --data --company <id>   for one
  $ frontdesk keys rotate --master                a new master key in the key file
  $ frontdesk keys finish                         drop what was replaced, at once instead of after a day

A rotation that was broken off goes on when the same command is run again.`

interface RotateOptions extends Record<string, unknown> {
  master?: boolean
  data?: boolean
  company?: string
  newMasterKeyFile?: string
}

/** `frontdesk keys`: rotation of the master key and of the companies' data keys, beside a gateway that works. */
export function keysCommand({ openDeployment }: CliDependencies, output: () => Output): Command {
  const open = async (options: Record<string, unknown>) => {
    const config = loadConfig(flagsOf(options))
    const deployment = await openDeployment(config, { log: createLog({ level: config.logLevel }) })
    return { config, deployment }
  }
  const rotate = addSettingOptions(new Command('rotate'), DEPLOYMENT_SETTINGS)
    .description('Replace the master key, or the data keys that companies are sealed with')
    .option('--master', 'the master key')
    .option('--new-master-key-file <path>', 'file with the new master key; without it one is generated')
    .option('--data', 'the data keys')
    .option('--company <id>', 'only the data key of this company', parseId)
    .addHelpText('after', EXAMPLES)
    .action(async (options: RotateOptions) => {
      if ((options.master === true) === (options.data === true))
        throw new FrontdeskError('command_invalid', 'Name one of --master and --data.')
      using shutdown = listenForShutdown()
      const { config, deployment } = await open(options)
      await using opened = deployment
      if (options.master === true) {
        const { formerKeyFile } = await rotateMasterKey(opened.database, config.secrets, options.newMasterKeyFile)
        output().say(MASTER_ROTATED(formerKeyFile))
        output().report({ type: 'master_key_rotated', formerKeyFile: formerKeyFile ?? null })
        return
      }
      const rotation = { ...opened, signal: shutdown.signal, onProgress: sayProgress(output()) }
      const outcome = await rotateDataKeys(rotation, options.company)
      sayOutcome(output(), { type: 'data_keys_rotated', hint: DATA_ROTATED }, outcome, shutdown.signal)
    })
  const finish = addSettingOptions(new Command('finish'), DEPLOYMENT_SETTINGS)
    .description('Drop the keys that rotations have replaced, once nothing is sealed with them')
    .action(async (options: Record<string, unknown>) => {
      using shutdown = listenForShutdown()
      const { deployment } = await open(options)
      await using opened = deployment
      const rotation = { ...opened, signal: shutdown.signal, onProgress: sayProgress(output()) }
      const outcome = await finishKeyRotation(rotation, 0)
      sayOutcome(output(), { type: 'former_keys_dropped', hint: FORMER_DROPPED }, outcome, shutdown.signal)
    })
  return new Command('keys')
    .description('Rotate the keys that credentials are sealed with')
    .addHelpText('after', EXAMPLES)
    .addCommand(rotate)
    .addCommand(finish)
}

const DATA_ROTATED = 'The former keys are dropped after a day, or at once by `frontdesk keys finish`.'
const FORMER_DROPPED = 'Former keys, where there were any, are gone.'

const MASTER_ROTATED = (formerKeyFile: string | undefined) =>
  formerKeyFile === undefined
    ? `The data keys are wrapped by the new master key. Set FRONTDESK_MASTER_KEY to it everywhere within a day: the former one is accepted for so long. Keep the former one for the backups that were made with it.`
    : `The data keys are wrapped by the new master key, which is in the key file; running processes find it there. BACK IT UP. The former one is in ${formerKeyFile}: keep it for the backups that were made with it.`

function sayProgress(output: Output): (progress: RotationProgress) => void {
  let saidAtMs = performance.now()
  return (progress) => {
    if (performance.now() - saidAtMs < SAY_EVERY_MS) return
    saidAtMs = performance.now()
    output.say(sentence(progress))
    output.report({ type: 'progress', ...progress })
  }
}

function sayOutcome(
  output: Output,
  { type, hint }: { type: string; hint: string },
  outcome: RotationProgress,
  signal: AbortSignal,
): void {
  output.say(sentence(outcome))
  output.say(signal.aborted ? 'Broken off. Run the same command again to go on.' : hint)
  output.report({ type, ...outcome, isBrokenOff: signal.aborted })
}

const sentence = ({ companies, companiesDone, values, unreadable }: RotationProgress): string =>
  [
    `${companiesDone} of ${companies} companies done, ${values} values sealed anew.`,
    ...unreadable.map(
      (id) =>
        `The company ${id} keeps its former key: a value of one of its sessions cannot be opened. Delete that session, then run the command again.`,
    ),
  ].join('\n')
