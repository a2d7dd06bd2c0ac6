import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A process that owns a data directory, as a gateway does: see gateway.process.ts. */
export interface GatewayProcess extends AsyncDisposable {
  readonly child: ChildProcess
  /** The pid of its database server. */
  readonly serverPid: number
  readonly uid: number
  /** The number of the last message that it knows to be committed. */
  committed(): number
  sessionId(): string
  /** Whether a Ctrl-C has reached it. */
  isInterrupted(): boolean
  kill(signal: NodeJS.Signals): Promise<void>
}

const PROGRAM = fileURLToPath(new URL('./gateway.process.ts', import.meta.url))

/** Starts it and waits until it writes. Rejects with what it said if it ends before. */
export async function startGatewayProcess(
  dataDir: string,
  masterKey: Uint8Array,
  options: { uid?: number; gid?: number; env?: NodeJS.ProcessEnv; detached?: boolean } = {},
): Promise<GatewayProcess> {
  const args = ['--disable-warning=ExperimentalWarning', PROGRAM, dataDir, Buffer.from(masterKey).toString('hex')]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
  const ended = once(child, 'close')
  let words = ''
  let committed = 0
  let sessionId = ''
  let isInterrupted = false
  let server = { pid: 0, uid: 0 }
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    words += chunk
  })
  await new Promise<void>((resolve, reject) => {
    createInterface(child.stdout).on('line', (line) => {
      const [kind, first = '', second = ''] = line.split(' ')
      if (kind === 'ready') server = { pid: Number(first), uid: Number(second) }
      if (kind === 'interrupted') isInterrupted = true
      if (kind !== 'committed') return
      sessionId = first
      committed = Number(second)
      if (server.pid !== 0) resolve()
    })
    child.once('close', () => reject(new Error(`the process has ended: ${words}`)))
  })
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await ended
  }
  return {
    child,
    serverPid: server.pid,
    uid: server.uid,
    committed: () => committed,
    sessionId: () => sessionId,
    isInterrupted: () => isInterrupted,
    kill,
    [Symbol.asyncDispose]: () => kill('SIGTERM'),
  }
}

/** Whether a process with this id runs. One that has ended and was not looked after yet does not. */
export async function isRunning(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0)
    return process.platform !== 'linux' || !/\) Z /.test(await readFile(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
