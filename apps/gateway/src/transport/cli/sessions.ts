import { setTimeout as sleep } from 'node:timers/promises'
import { type BulkOperation, bulkAction, sessionState } from '@frontdesk/api-contract'
import { Argument, Command, Option } from 'commander'
import { settings } from '#src/deployment-settings.ts'
import { ApiClient } from './api-client.ts'
import type { Output } from './output.ts'

const LOOK_EVERY_MS = 500
const BAR_WIDTH = 30

const EXAMPLES = `
Examples:
  $ frontdesk sessions restart                     all sessions that run, one after the other
  $ frontdesk sessions restart --state failed      only those
  $ frontdesk sessions pause --company <id>        those of one company

The gateway goes on with it when this command is ended.`

interface SessionsOptions {
  company?: string
  state?: string
  url: string
  key: string
}

/** `frontdesk sessions`: asks a gateway that runs to do something with many sessions, and shows how far it has come. */
export const sessionsCommand = (output: () => Output): Command =>
  new Command('sessions')
    .description('Start, pause, restart, log out or delete many sessions of a gateway that runs')
    .addArgument(new Argument('<action>', 'what to do with them').choices(bulkAction.options))
    .option('--company <id>', 'only the sessions of this company')
    .addOption(new Option('--state <state>', 'only those that are in this state now').choices(sessionState.options))
    .option('--url <url>', 'address of the gateway', `http://${settings.host.default}:${settings.port.default}`)
    .addOption(new Option('--key <key>', 'platform key').env('FRONTDESK_PLATFORM_KEY').makeOptionMandatory())
    .addHelpText('after', EXAMPLES)
    .action(async (action: string, { company, state, url, key }: SessionsOptions) => {
      const api = new ApiClient(url, key)
      const filter = { ...(company !== undefined && { companyId: company }), ...(state !== undefined && { state }) }
      let operation = await api.post<BulkOperation>('/v1/platform/sessions/bulk', { action, ...filter })
      sayProgress(output(), operation)
      while (operation.finishedAt === null) {
        await sleep(LOOK_EVERY_MS)
        operation = await api.get<BulkOperation>(`/v1/platform/bulk/${operation.id}`)
        sayProgress(output(), operation)
      }
      for (const { sessionId, code } of operation.failures) output().say(`  ${sessionId}: ${code}`)
      output().report({ type: 'told', ...operation })
    })

function sayProgress(output: Output, { total, done, failed }: BulkOperation): void {
  const filled = total === 0 ? BAR_WIDTH : Math.round(((done + failed) / total) * BAR_WIDTH)
  const bar = '#'.repeat(filled).padEnd(BAR_WIDTH, '-')
  output.say(`[${bar}] ${done} of ${total} told${failed === 0 ? '' : `, ${failed} refused`}`)
  output.report({ type: 'progress', total, done, failed })
}
