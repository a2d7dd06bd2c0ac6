import type { ChildProcess } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { FrontdeskError } from '#src/model/errors.ts'
import { stopOrphans } from './orphans.ts'
import { type ServerDirectory, spawnInDirectory } from './server-directory.ts'
import { SHUTDOWN_STEPS, sendSignal } from './shutdown-steps.ts'

const POLL_MS = 5
const MAX_LOG_BYTES = 8 * 1024 * 1024
const MIN_RESTART_DELAY_MS = 100
const MAX_RESTART_DELAY_MS = 5_000
/** A killed gateway may have been starting a server that cannot be seen at once: then ours finds its files locked. */
const FIRST_START_ATTEMPTS = 3

export interface ServerProcess extends AsyncDisposable {
  /** The pid of the server that runs now. */
  readonly pid: number | undefined
}

/** Starts the server and keeps it running: one that ends without being told to is started again. Resolves when it answers. */
export async function startServerProcess(
  directory: ServerDirectory,
  args: readonly string[],
  logFile: string,
  log: Logger,
): Promise<ServerProcess> {
  const ending = new AbortController()
  let server: ChildProcess

  const start = async (): Promise<void> => {
    await stopOrphans(directory.path, log)
    rotate(logFile)
    const output = openSync(logFile, 'a', 0o600)
    try {
      server = spawnInDirectory(directory, 'postgres', args, ['ignore', output, output])
    } finally {
      closeSync(output)
    }
    const spawned = server
    const spawnFailure = new Promise<never>((_, reject) => {
      spawned.on('error', (cause) =>
        reject(new FrontdeskError('embedded_database_failed', `${cause.message}.`, { cause })),
      )
    })
    await Promise.race([untilReady(spawned, directory.path, logFile, ending.signal), spawnFailure])
  }

  const superviseFrom = async (): Promise<void> => {
    let delayMs = MIN_RESTART_DELAY_MS
    while (!ending.signal.aborted) {
      await exit(server)
      if (ending.signal.aborted) return
      log.error(
        { code: server.exitCode, signal: server.signalCode },
        'the database server has ended; starting it again',
      )
      try {
        await start()
        log.info('the database server runs again')
        delayMs = MIN_RESTART_DELAY_MS
      } catch (error) {
        if (ending.signal.aborted) return
        log.error({ err: error, delayMs }, 'the database server does not start; trying again')
        // Whoever stops us need not wait.
        await delay(delayMs, undefined, { signal: ending.signal }).catch(() => undefined)
        delayMs = Math.min(delayMs * 2, MAX_RESTART_DELAY_MS)
      }
    }
  }

  for (let attempt = 1; ; attempt++) {
    try {
      await start()
      break
    } catch (error) {
      if (attempt === FIRST_START_ATTEMPTS || !/lock file|shared memory/.test(String(error))) throw error
      await delay(MIN_RESTART_DELAY_MS)
    }
  }
  const supervision = superviseFrom()
  return {
    get pid() {
      return server.pid
    },
    async [Symbol.asyncDispose]() {
      ending.abort()
      await stop(server)
      await supervision
    },
  }
}

const isRunning = (server: ChildProcess): boolean => server.exitCode === null && server.signalCode === null

async function stop(server: ChildProcess): Promise<void> {
  const ended = exit(server)
  for (const { signal, patienceMs } of SHUTDOWN_STEPS) {
    if (server.pid === undefined || !isRunning(server)) return
    sendSignal(server.pid, signal)
    const patience = new AbortController()
    await Promise.race([ended, delay(patienceMs, undefined, { signal: patience.signal }).catch(() => undefined)])
    patience.abort()
  }
}

const exit = (server: ChildProcess): Promise<void> =>
  isRunning(server) && server.pid !== undefined
    ? new Promise((resolve) => server.once('exit', () => resolve()))
    : Promise.resolve()

async function untilReady(server: ChildProcess, path: string, logFile: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    if (isReady(path, server.pid)) return
    if (server.pid === undefined || !isRunning(server) || signal.aborted)
      throw new FrontdeskError('embedded_database_failed', lastWords(logFile))
    await delay(POLL_MS)
  }
}

/** What the server says of itself: its process id in the first line, its state in the eighth. */
function isReady(path: string, pid: number | undefined): boolean {
  try {
    const lines = readFileSync(join(path, 'postmaster.pid'), 'utf8').split('\n')
    return Number(lines[0]) === pid && lines[7]?.trim() === 'ready'
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false
    throw error
  }
}

function lastWords(logFile: string): string {
  const lines = readFileSync(logFile, 'utf8').trim().split('\n')
  return lines.slice(-3).join(' ')
}

/** Keeps the log of the present and of the past, each below a bound. */
function rotate(logFile: string): void {
  if (existsSync(logFile) && statSync(logFile).size > MAX_LOG_BYTES) renameSync(logFile, `${logFile}.1`)
}
