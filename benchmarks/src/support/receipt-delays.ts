import type { EmulatorControl } from 'whatsapp-emulator'
import { until } from './until.ts'

/** As many stanzas as the emulator's book holds. */
const PAGE = 20_000
/**
 * Fires the prepared burst at a pace, and measures at the emulator, by its own clock, how long after its sending each
 * message was receipted. Milliseconds, one for each message, of which there may be 5,000: each makes up to four stanzas.
 */
export async function receiptDelays(emulator: EmulatorControl, perSecond: number): Promise<number[]> {
  await emulator.configure({ keepsBooks: true })
  const sent = await emulator.fireBurst({ perSecond })
  const receiptedAt = new Map<string, number>()
  // Read when all is over: answering costs the emulator time in which it would receipt nothing.
  await until('all paced messages are receipted', async () => {
    for (const { direction, tag, attrs, at } of await emulator.wire({ limit: PAGE })) {
      const isReceipt = direction === 'from_companion' && tag === 'receipt'
      if (isReceipt && attrs['id'] !== undefined) receiptedAt.set(attrs['id'], Date.parse(at))
    }
    return sent.every(({ id }) => receiptedAt.has(id))
  })
  await emulator.configure({ keepsBooks: false })
  return sent.map(({ id, atMs }) => (receiptedAt.get(id) ?? Number.NaN) - atMs)
}
