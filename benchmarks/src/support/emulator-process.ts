import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { EmulatorControl, EmulatorInfo } from 'whatsapp-emulator'
import { connectEmulator } from 'whatsapp-emulator/client'
import { stopProcess } from './child-process.ts'

export interface EmulatorProcess {
  readonly info: EmulatorInfo
  readonly control: EmulatorControl
}

/** The emulator in a process of its own; it ends with `resources`. Books are off: they would cost the emulator more than the messages. */
export async function startEmulatorProcess(resources: AsyncDisposableStack): Promise<EmulatorProcess> {
  const command = fileURLToPath(new URL('../bin/whatsapp-emulator', import.meta.resolve('whatsapp-emulator')))
  // With an IPC channel it ends with this process, however that ends.
  const child = spawn(process.execPath, [command, '--port', '0', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  resources.defer(() => stopProcess(child))
  if (child.stdout === null) throw new Error('The emulator has no standard output.')
  const lines = createInterface({ input: child.stdout })
  const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`The emulator ended with code ${code}.`)))
  const [line] = await Promise.race([once(lines, 'line'), ended])
  // From here on the end of the emulator shows in every call to it.
  ended.catch(() => undefined)
  const info: EmulatorInfo = JSON.parse(line)
  const control = connectEmulator(new URL(info.pageUrl).origin)
  await control.configure({ keepsBooks: false, receipts: 'none', sendsHistory: false })
  return { info, control }
}
