import { Command } from 'commander'
import type { CliDependencies } from './running-gateway.ts'

/** `frontdesk session-host`: what `frontdesk start --session-hosts` starts, not for people. */
export const sessionHostCommand = ({ runSessionHost }: CliDependencies): Command =>
  new Command('session-host')
    .description('Own sessions for the gateway that has started this process')
    .action(async () => {
      await runSessionHost()
    })
