import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { EmulatorInfo } from 'whatsapp-emulator'
import { connectEmulator, type EmulatorClient } from 'whatsapp-emulator/client'

export interface EmulatorProcess extends AsyncDisposable {
  info: EmulatorInfo
  control: EmulatorClient
}

/** Starts the emulator in a process of its own: what the gateway talks to is a server, not a library beside it. */
export async function startEmulatorProcess(): Promise<EmulatorProcess> {
  const main = fileURLToPath(import.meta.resolve('whatsapp-emulator/main'))
  const child = fork(main, ['--port', '0', '--json'], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'], execArgv: [] })
  const ended = once(child, 'exit')
  const info = await Promise.race([
    firstLine(child.stdout),
    ended.then(([code]) => Promise.reject(new Error(`The emulator ended at its start with code ${code}.`))),
  ]).then((line): EmulatorInfo => JSON.parse(line))
  return {
    info,
    control: connectEmulator(info.pageUrl),
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

async function firstLine(stream: NodeJS.ReadableStream | null): Promise<string> {
  if (stream === null) throw new Error('The emulator has no output to read.')
  let text = ''
  for await (const chunk of stream) {
    text += String(chunk)
    if (text.includes('\n')) break
  }
  return text
}
