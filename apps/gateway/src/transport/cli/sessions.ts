import { setTimeout as sleep } from 'node:timers/promises'
import { type BulkOperation, bulkAction, sessionState } from '@frontdesk/api-contract'
import { Argument, Command, InvalidArgumentError, Option } from 'commander'
import { settings } from '#src/deployment-settings.ts'
import { FrontdeskError } from '#src/model/errors.ts'
import { ApiClient } from './api-client.ts'
import type { Output } from './output.ts'
import { parseId } from './parse-id.ts'

const LOOK_EVERY_MS = 500
const BAR_WIDTH = 30

const EXAMPLES = `
Examples:
  $ frontdesk sessions restart --all               all sessions that run, one after the other
  $ frontdesk sessions restart --state failed      only those
  $ frontdesk sessions pause --company <id>        those of one company

They are told 50 in a second, and the gateway goes on with it when this command is ended. What \`logout\` and \`delete\`
take away has to be linked anew.`

interface SessionsOptions {
  all?: boolean
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
    .addOption(new Option('--all', 'the sessions of all companies').conflicts(['company', 'state']))
    .option('--company <id>', 'only the sessions of this company', parseId)
    .addOption(new Option('--state <state>', 'only those that are in this state now').choices(sessionState.options))
    .option(
      '--url <url>',
      'address of the gateway',
      parseAddress,
      `http://${settings.host.default}:${settings.port.default}`,
    )
    .addOption(
      new Option('--key <key>', 'platform key, as the first start printed it')
        .env('FRONTDESK_PLATFORM_KEY')
        .makeOptionMandatory(),
    )
    .addHelpText('after', EXAMPLES)
    .action(async (action: string, { all = false, company, state, url, key }: SessionsOptions) => {
      if (!all && company === undefined && state === undefined)
        throw new FrontdeskError('command_invalid', 'Say which sessions: --company, --state, or --all.')
      const api = new ApiClient(url, key)
      const filter = { ...(company !== undefined && { companyId: company }), ...(state !== undefined && { state }) }
      let operation = await api.post<BulkOperation>('/v1/platform/sessions/bulk', { action, ...filter })
      const sayProgress = progressOn(output())
      sayProgress(operation)
      while (operation.finishedAt === null) {
        await sleep(LOOK_EVERY_MS)
        operation = await api.get<BulkOperation>(`/v1/platform/bulk/${operation.id}`)
        sayProgress(operation)
      }
      for (const { sessionId, code } of operation.failures) output().say(`  ${sessionId}: ${code}`)
      output().report({ type: 'told', ...operation })
    })

/** Says how far it has come, when the bar has grown. */
function progressOn(output: Output): (operation: BulkOperation) => void {
  let said: string | undefined
  return ({ total, done, failed, finishedAt }) => {
    output.report({ type: 'progress', total, done, failed })
    if (total === 0) {
      output.say('No session is one of these, or there is nothing to change.')
      return
    }
    const bar = '#'.repeat(Math.round(((done + failed) / total) * BAR_WIDTH)).padEnd(BAR_WIDTH, '-')
    if (bar === said && finishedAt === null) return
    said = bar
    output.say(`[${bar}] ${done} of ${total} told${failed === 0 ? '' : `, ${failed} refused`}`)
  }
}

function parseAddress(text: string): string {
  const url = URL.parse(text)
  if (url === null || !['http:', 'https:'].includes(url.protocol))
    throw new InvalidArgumentError('It must be a URL such as http://127.0.0.1:8480.')
  return text
}
