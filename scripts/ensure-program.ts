import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

interface Program {
  /** As people call it. */
  name: string
  purpose: string
  /** Where it is, in the order in which to look. */
  places: readonly string[]
  /** The environment variable that names another place. */
  variable: string
  debianPackage: string
}

/** The path of a program that tests need. On Debian as root it is installed when missing; elsewhere the error says what to do. */
export function ensureProgram(program: Program): string {
  const { name, purpose, variable, debianPackage } = program
  const found = find(program)
  if (found !== undefined) return found
  if (existsSync('/etc/debian_version') && process.getuid?.() === 0) {
    console.log(`No ${name} here: installing Debian’s for ${purpose} …`)
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    for (const args of [
      ['update', '-qq'],
      ['install', '-y', '-qq', '--no-install-recommends', debianPackage],
    ]) {
      spawnSync('apt-get', args, { stdio: ['ignore', 'ignore', 'inherit'], env })
    }
    const installed = find(program)
    if (installed !== undefined) return installed
  }
  throw new Error(
    `There is no ${name} for ${purpose}. Install it (Debian and Ubuntu: sudo apt-get install ${debianPackage}) or set ${variable} to its executable.`,
  )
}

const find = ({ variable, places }: Program): string | undefined =>
  [process.env[variable], ...places].find((path) => path !== undefined && existsSync(path))
