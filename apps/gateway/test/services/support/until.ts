import { setTimeout as delay } from 'node:timers/promises'

/** Resolves with the condition's value as soon as that is truthy; a generous time-out makes a hang a failure. */
export async function until<T>(condition: () => T | Promise<T>, timeoutMs = 20_000): Promise<NonNullable<T>> {
  const endMs = Date.now() + timeoutMs
  for (;;) {
    const value = await condition()
    if (value) return value
    if (Date.now() > endMs) throw new Error(`Not within ${timeoutMs} ms: ${condition.toString()}`)
    await delay(5)
  }
}
