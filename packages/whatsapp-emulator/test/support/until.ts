import { setTimeout } from 'node:timers/promises'

const POLL_MS = 10
const TIME_OUT_MS = 30_000

/** Waits for something to become true, and returns it. Rejects, saying what was waited for, when it never does. */
export async function until<T>(what: string, condition: () => T | Promise<T>): Promise<NonNullable<T>> {
  const deadline = Date.now() + TIME_OUT_MS
  for (;;) {
    const value = await condition()
    if (value !== null && value !== undefined && (value as unknown) !== false) return value
    if (Date.now() > deadline) throw new Error(`It never happened that ${what}`)
    await setTimeout(POLL_MS)
  }
}
