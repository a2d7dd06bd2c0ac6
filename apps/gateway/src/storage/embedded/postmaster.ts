import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'

const POLL_MS = 10
const FAST_SHUTDOWN_MS = 10_000
const IMMEDIATE_SHUTDOWN_MS = 5_000

/** What the server says of itself in `postmaster.pid`. Undefined when there is none. */
export function readPostmaster(serverDirectory: string): { pid: number; isReady: boolean } | undefined {
  try {
    const lines = readFileSync(join(serverDirectory, 'postmaster.pid'), 'utf8').split('\n')
    return { pid: Number(lines[0]), isReady: lines[7]?.trim() === 'ready' }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/**
 * Stops a server that outlived a killed gateway. The caller holds the lock of the data directory, so nobody uses it any
 * more; a new one starts as fast as the old one could be adopted, and with this version's settings.
 */
export async function stopOrphan(serverDirectory: string, log: Logger): Promise<void> {
  const orphan = readPostmaster(serverDirectory)
  if (!orphan) return
  if (isPostmasterOf(serverDirectory, orphan.pid)) {
    log.warn({ pid: orphan.pid }, 'stopping the database server that a killed process left behind')
    await stopServer(orphan.pid, () => isPostmasterOf(serverDirectory, orphan.pid))
  }
  neutralise(serverDirectory)
}

/**
 * A killed server leaves its file. Postgres refuses to start if the process id in it is in use, though it may be a
 * stranger's by now; it passes over the id of its own parent, which is us. The rest of the file must stay: by it Postgres
 * makes sure that no process of the killed server is still writing.
 */
function neutralise(serverDirectory: string): void {
  const file = join(serverDirectory, 'postmaster.pid')
  if (!existsSync(file)) return
  const [, ...rest] = readFileSync(file, 'utf8').split('\n')
  writeFileSync(file, [process.pid, ...rest].join('\n'))
}

/** Stops a server: its clients are cut off and what is committed is kept, by force in the end. */
export async function stopServer(pid: number, isRunning: () => boolean): Promise<void> {
  const steps = [
    ['SIGINT', FAST_SHUTDOWN_MS],
    ['SIGQUIT', IMMEDIATE_SHUTDOWN_MS],
    ['SIGKILL', IMMEDIATE_SHUTDOWN_MS],
  ] as const
  for (const [signal, patienceMs] of steps) {
    if (!isRunning()) return
    try {
      process.kill(pid, signal)
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return
      throw error
    }
    for (let waitedMs = 0; waitedMs < patienceMs && isRunning(); waitedMs += POLL_MS) await delay(POLL_MS)
  }
}

/** Whether the process is a server with these files: ids are used again, and a stranger must not be stopped. */
function isPostmasterOf(serverDirectory: string, pid: number): boolean {
  try {
    process.kill(pid, 0)
    if (process.platform !== 'linux') {
      const command = execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' })
      return command.includes('postgres') && command.includes(serverDirectory)
    }
    // A zombie has ended; its parent has not looked yet.
    if (!/\(postgres\) [^Z]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))) return false
    const [theirs, ours] = [statSync(`/proc/${pid}/cwd`), statSync(serverDirectory)]
    return theirs.dev === ours.dev && theirs.ino === ours.ino
  } catch (error) {
    // It ends this very moment, or it is another user's and so not ours.
    if (
      error instanceof Error &&
      'code' in error &&
      ['ESRCH', 'ENOENT', 'EPERM', 'EACCES'].includes(String(error.code))
    )
      return false
    throw error
  }
}
