/**
 * `npm test`: the checks, then every test, with coverage of all processes that the tests start.
 * `npm test -- <path>` runs the tests under that path only.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureChromium } from './ensure-chromium.ts'
import { ensurePgBouncer } from './ensure-pgbouncer.ts'

const MINIMUM_LINES_PERCENT = 85
const selection = process.argv.slice(2)

if (selection.length > 0) {
  process.exitCode = run('vitest', ['run', ...selection])
} else {
  process.exitCode = run('node', ['scripts/check.ts']) || testEverything()
}

function testEverything(): number {
  const programs = { CHROMIUM_PATH: ensureChromium(), PGBOUNCER_PATH: ensurePgBouncer() }
  const coverage = mkdtempSync(join(tmpdir(), 'frontdesk-coverage-'))
  try {
    const env = { ...process.env, NODE_V8_COVERAGE: coverage, ...programs }
    return (
      run('vitest', ['run'], env) ||
      run('c8', [
        'report',
        ...['--temp-directory', coverage, '--reporter', 'text-summary'],
        ...['--include', 'apps/*/src/**', '--include', 'packages/*/src/**', '--exclude', '**/page/**'],
        ...['--check-coverage', '--lines', String(MINIMUM_LINES_PERCENT)],
      ])
    )
  } finally {
    rmSync(coverage, { recursive: true, force: true })
  }
}

function run(command: string, args: string[], env = process.env): number {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', env })
  if (error !== undefined) throw error
  return status ?? 1
}
