import type { Behaviour } from './control/control.ts'
import { Emulator } from './emulator.ts'

export { connectEmulator, type EmulatorClient } from './control/client.ts'
export type * from './control/control.ts'
export { ControlError } from './control/control-error.ts'
export type { EmulatorEvents } from './core/events.ts'
export type { Emulator } from './emulator.ts'

export interface EmulatorOptions {
  /** Any free one by default. */
  port?: number
  behaviour?: Partial<Behaviour>
}

/** Starts an emulator in this process, on loopback. Dispose of it with `await using` or `close()`. */
export async function startEmulator({ port = 0, behaviour = {} }: EmulatorOptions = {}): Promise<Emulator> {
  const emulator = new Emulator(behaviour)
  await emulator.listen(port)
  return emulator
}
