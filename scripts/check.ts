/**
 * `npm run check`: everything that can be known without running the product, in the order in which it is quickest to mend.
 */
import { spawnSync } from 'node:child_process'

interface Step {
  name: string
  command: string[]
}

const steps: Step[] = [
  { name: 'format, lint, layers, cycles', command: ['biome', 'check', '--error-on-warnings', '.'] },
  { name: 'types', command: ['tsc'] },
  { name: 'types of the phones page', command: ['tsc', '-p', 'packages/whatsapp-emulator/src/page'] },
  { name: 'promises, exhaustive switches', command: ['oxlint', '--type-aware', '--deny-warnings'] },
  { name: 'dead code and dependencies', command: ['knip'] },
]

let failed = false
for (const step of steps) {
  const [command = '', ...args] = step.command
  const startedAt = performance.now()
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 * 2 ** 20 })
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  if (status === 0) {
    console.log(`ok     ${step.name} (${seconds} s)`)
  } else {
    failed = true
    console.log(
      `FAILED ${step.name} (${seconds} s): ${step.command.join(' ')}\n${stdout ?? ''}${stderr ?? ''}${error ?? ''}`,
    )
  }
}
if (!audit()) failed = true
process.exitCode = failed ? 1 : 0

/** Known vulnerabilities of what we ship. A registry that cannot be asked is no reason to fail: it says nothing about the code. */
function audit(): boolean {
  const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], {
    encoding: 'utf8',
    maxBuffer: 64 * 2 ** 20,
    timeout: 60_000,
  })
  const report = parseReport(stdout)
  if (report === undefined) {
    console.log('skip   known vulnerabilities: the registry gave no report')
    return true
  }
  const { high, critical } = report
  if (high + critical === 0) {
    console.log('ok     known vulnerabilities')
    return true
  }
  console.log(`FAILED known vulnerabilities: ${high} high, ${critical} critical. See npm audit --omit=dev`)
  return false
}

function parseReport(json: string): { high: number; critical: number } | undefined {
  try {
    return JSON.parse(json).metadata?.vulnerabilities
  } catch {
    // Not JSON: the registry is unreachable or does not offer audits.
    return undefined
  }
}
