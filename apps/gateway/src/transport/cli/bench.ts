import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'

const ENTRY = new URL('../../../../../benchmarks/src/main.ts', import.meta.url)

/** `frontdesk bench`: hands everything after its name to the benchmarks, which live in a workspace of their own. */
export function benchCommand(argv: readonly string[]): Command {
  return new Command('bench')
    .description('Measure this machine: sessions, pipeline, webhooks, startup. `frontdesk bench --help` says more')
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .action(async () => {
      const rest = argv.slice(argv.indexOf('bench') + 1)
      const child = spawn(process.execPath, [...process.execArgv, fileURLToPath(ENTRY), ...rest], { stdio: 'inherit' })
      // The terminal signals the whole group; the benchmarks clean up and end first.
      const wait = () => undefined
      process.on('SIGINT', wait).on('SIGTERM', () => child.kill('SIGTERM'))
      const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
      process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1)
    })
}
