import { setTimeout as delay } from 'node:timers/promises'
import type { EmulatorControl } from 'whatsapp-emulator'
import { until } from './until.ts'

const READ_EVERY_MS = 500
const PAGE = 1000

/**
 * Fires the prepared burst at a pace, and measures at the emulator, by its own clock, how long after its sending each
 * message was receipted. Milliseconds, one for each message.
 */
export async function receiptDelays(emulator: EmulatorControl, perSecond: number): Promise<number[]> {
  await emulator.configure({ keepsBooks: true })
  let lastEntry = (await emulator.wire()).at(-1)?.number ?? 0
  const receiptedAt = new Map<string, number>()
  // The book is bounded: it is read while it is written.
  const readBook = async () => {
    for (;;) {
      const entries = await emulator.wire({ after: lastEntry, limit: PAGE })
      for (const { direction, tag, attrs, at } of entries) {
        if (direction === 'from_companion' && tag === 'receipt' && attrs['id'] !== undefined) {
          receiptedAt.set(attrs['id'], Date.parse(at))
        }
      }
      lastEntry = entries.at(-1)?.number ?? lastEntry
      if (entries.length < PAGE) return
    }
  }

  let isFiring = true
  const firing = emulator.fireBurst({ perSecond }).finally(() => {
    isFiring = false
  })
  while (isFiring) {
    await Promise.race([firing, delay(READ_EVERY_MS)])
    await readBook()
  }
  const sent = await firing
  await until('all paced messages are receipted', async () => {
    await readBook()
    return sent.every(({ id }) => receiptedAt.has(id))
  })
  await emulator.configure({ keepsBooks: false })
  return sent.map(({ id, atMs }) => (receiptedAt.get(id) ?? Number.NaN) - atMs)
}
