import { setTimeout as delay } from 'node:timers/promises'

/** Asks again every `everyMs` until the answer is yes. Throws after `timeoutMs`, naming what was waited for. */
export async function until(
  what: string,
  condition: () => Promise<boolean> | boolean,
  { everyMs = 20, timeoutMs = 120_000 } = {},
): Promise<void> {
  const giveUpAt = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > giveUpAt) throw new Error(`Gave up after ${timeoutMs / 1000} s waiting until ${what}.`)
    await delay(everyMs)
  }
}
