import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { EmulatorInfo } from 'whatsapp-emulator'
import { connectEmulator, type EmulatorClient } from 'whatsapp-emulator/client'

/** An emulator in a process of its own, which can be stopped in the middle of everything: its sockets stay open. */
export interface FreezableEmulator extends AsyncDisposable {
  readonly info: EmulatorInfo
  readonly control: EmulatorClient
  freeze(): void
  thaw(): void
}

export async function startFreezableEmulator(): Promise<FreezableEmulator> {
  const main = fileURLToPath(import.meta.resolve('whatsapp-emulator/main'))
  const child = fork(main, ['--port', '0', '--json'], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'], execArgv: [] })
  const ended = once(child, 'exit')
  if (child.stdout === null) throw new Error('The emulator has no output to read.')
  const [line] = await once(createInterface(child.stdout), 'line')
  const info: EmulatorInfo = JSON.parse(line)
  return {
    info,
    control: connectEmulator(info.pageUrl),
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
    },
  }
}
