import { setTimeout as wait } from 'node:timers/promises'

const POLL_MS = 10

/** Polls until the condition holds, and answers with what it gave. Rejects after the time-out, which is generous. */
export async function until<Value>(
  condition: () => Value | Promise<Value>,
  { timeoutMs = 30_000, what = condition.toString() }: { timeoutMs?: number; what?: string } = {},
): Promise<NonNullable<Value>> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const value = await condition()
    if (value) return value
    if (performance.now() > deadline) throw new Error(`This did not come true in ${timeoutMs} ms: ${what}`)
    await wait(POLL_MS)
  }
}
