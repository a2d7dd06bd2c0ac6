import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { until } from '../../support/until.ts'

const PROGRAM = fileURLToPath(new URL('../../../bin/frontdesk', import.meta.url))

/** Some fields by their types; which of them are there is what a test finds out. */
interface Fact {
  url: string
  platformKey: string
  generatedMasterKeyFile: string
  companyId: string
  sessionId: string
  qr: string
  [field: string]: unknown
}

export interface Run extends AsyncDisposable {
  readonly pid: number
  /** The lines of standard output so far. */
  readonly lines: readonly string[]
  readonly errors: () => string
  /** The first line of `--json` of this type, awaited. Fails when the command ends before. */
  fact(type: string): Promise<Fact>
  signal(name: NodeJS.Signals): void
  /** The exit code, and everything that was said. */
  ended: Promise<{ code: number | null; output: string; errors: string }>
}

/** Starts the command in a process of its own, with these settings and none of the tester's. */
export function runFrontdesk(
  args: readonly string[],
  settings: Record<string, string> = {},
  nodeOptions: readonly string[] = [],
): Run {
  const inherited = Object.entries(process.env).filter(([name]) => !/^FRONTDESK_|^DATABASE_URL$|^NODE_ENV$/.test(name))
  const child = spawn(process.execPath, [...nodeOptions, PROGRAM, ...args], {
    env: { ...Object.fromEntries(inherited), ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  let errors = ''
  child.stderr.on('data', (chunk) => {
    errors += String(chunk)
  })
  const output = createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
  const ended = Promise.all([once(child, 'exit'), once(output, 'close'), once(child.stderr, 'close')]).then(() => ({
    code: child.exitCode,
    output: lines.join('\n'),
    errors,
  }))
  const { pid } = child
  if (pid === undefined) throw new Error('The program could not be started.')
  return {
    pid,
    lines,
    errors: () => errors,
    async fact(type) {
      const line = await until(
        () => {
          const found = lines.find((each) => each.includes(`"type":"${type}"`))
          if (found === undefined && child.exitCode !== null)
            throw new Error(`Ended early: ${lines.join('\n')}${errors}`)
          return found
        },
        { what: `a line of type ${type}`, timeoutMs: 60_000 },
      )
      return JSON.parse(line) as Fact
    },
    signal: (name) => child.kill(name),
    ended,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await ended
    },
  }
}
