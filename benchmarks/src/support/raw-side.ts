import { linkCompanions } from './companions.ts'
import type { EmulatorProcess } from './emulator-process.ts'
import { startRawProcess } from './raw-process.ts'
import type { Side } from './side.ts'

const CONNECTING_AT_ONCE = 50
const SENDING_AT_ONCE = 50

/** Raw Baileys with `count` sessions online, of the numbers from `firstPhone` upwards. */
export async function openRawSide(
  resources: AsyncDisposableStack,
  { control, info }: EmulatorProcess,
  firstPhone: number,
  count: number,
): Promise<Side> {
  const raw = await startRawProcess(resources)
  const companions = await linkCompanions(control, firstPhone, count)
  await raw.connect({ url: info.url, rootKey: info.rootKey, companions, concurrency: CONNECTING_AT_ONCE })
  return {
    name: 'raw Baileys',
    pid: raw.pid,
    phones: companions.map(({ phone }) => phone),
    send: (messages) => raw.send({ messages, concurrency: SENDING_AT_ONCE }),
  }
}
