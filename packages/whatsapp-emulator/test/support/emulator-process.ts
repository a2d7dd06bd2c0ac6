import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { connectEmulator, type EmulatorClient, type EmulatorInfo } from '../../src/index.ts'

const COMMAND = fileURLToPath(new URL('../../bin/whatsapp-emulator', import.meta.url))

export interface EmulatorProcess extends AsyncDisposable {
  child: ChildProcess
  info: EmulatorInfo
  control: EmulatorClient
  /** Resolves with how the process ended. */
  exited: Promise<{ code: number | null; signal: string | null }>
}

/** Starts the emulator as its users do: as a command, on a free port. */
export async function spawnEmulator(): Promise<EmulatorProcess> {
  const child = spawn(process.execPath, [COMMAND, '--port', '0', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  const exited = once(child, 'exit').then(([code, signal]) => ({ code, signal }))
  if (!child.stdout) throw new Error('The emulator has no output')
  const [line] = await once(createInterface({ input: child.stdout }), 'line')
  const info: EmulatorInfo = JSON.parse(line)
  return {
    child,
    info,
    control: connectEmulator(info.pageUrl),
    exited,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

/** Runs the command to its end and returns what it printed. */
export async function runCommand(...options: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [COMMAND, ...options], { stdio: ['ignore', 'pipe', 'pipe'] })
  const printed = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk) => (printed.stdout += String(chunk)))
  child.stderr.on('data', (chunk) => (printed.stderr += String(chunk)))
  const [code] = await once(child, 'close')
  return { code, ...printed }
}
