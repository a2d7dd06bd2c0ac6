import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { SHUTDOWN_STEPS, sendSignal } from './shutdown-steps.ts'

const POLL_MS = 10

/**
 * Stops the server that outlived a killed gateway, with all its processes, and clears its traces. The caller holds the
 * lock of the data directory, so nobody uses that server any more; a new one starts as fast as the old one could be
 * adopted, and with this version's settings.
 */
export async function stopOrphans(serverDirectory: string, log: Logger): Promise<void> {
  const orphans = serverProcesses(serverDirectory)
  if (orphans.length > 0) {
    log.warn({ pids: orphans.map(({ pid }) => pid) }, 'stopping the database server that a killed process left behind')
    await stopAll(serverDirectory)
  }
  // Elsewhere the processes of a killed server cannot all be seen; there Postgres must find by itself what is safe.
  if (process.platform !== 'linux') return
  // With no process of it left these files protect nothing, and Postgres would believe them if the id in them were now a
  // stranger's.
  for (const name of ['postmaster.pid', '.s.PGSQL.5432.lock', '.s.PGSQL.5432'])
    rmSync(join(serverDirectory, name), { force: true })
}

async function stopAll(serverDirectory: string): Promise<void> {
  for (const { signal, patienceMs } of SHUTDOWN_STEPS) {
    const running = serverProcesses(serverDirectory)
    // The server's head stops its other processes, in the right order.
    const heads = running.filter(({ parent }) => !running.some(({ pid }) => pid === parent))
    for (const { pid } of heads) sendSignal(pid, signal)
    for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += POLL_MS) {
      if (serverProcesses(serverDirectory).length === 0) return
      await delay(POLL_MS)
    }
  }
}

interface ServerProcess {
  pid: number
  parent: number
}

/** The processes that work in this directory: not by a file that says so, but by where they are. */
function serverProcesses(serverDirectory: string): ServerProcess[] {
  const directory = statSync(serverDirectory, { throwIfNoEntry: false })
  if (!directory) return []
  if (process.platform !== 'linux') return serverHeads(serverDirectory)
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        // The process id, its name in brackets, its state, its parent. A zombie has ended.
        const parent = /^\d+ \(postgres\) [^Z] (\d+)/.exec(readFileSync(`/proc/${name}/stat`, 'utf8'))?.[1]
        if (parent === undefined) return []
        const cwd = statSync(`/proc/${name}/cwd`)
        const isOurs = cwd.dev === directory.dev && cwd.ino === directory.ino
        return isOurs ? [{ pid: Number(name), parent: Number(parent) }] : []
      } catch {
        // It has ended meanwhile, or it is another user's and so not ours.
        return []
      }
    })
}

function serverHeads(serverDirectory: string): ServerProcess[] {
  return execFileSync('ps', ['-axo', 'pid=,ppid=,command='], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes('postgres') && line.includes(`-D ${serverDirectory} `))
    .map((line) => {
      const [pid, parent] = line.trim().split(/\s+/)
      return { pid: Number(pid), parent: Number(parent) }
    })
}
