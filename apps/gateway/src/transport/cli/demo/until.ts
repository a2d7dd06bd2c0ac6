/** Asks again and again until there is an answer. Throws after `timeoutMs`, naming what was waited for. */
export async function until<Answer>(
  what: string,
  ask: () => Promise<Answer | undefined>,
  { timeoutMs = 30_000, signal }: { timeoutMs?: number; signal?: AbortSignal } = {},
): Promise<Answer> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    signal?.throwIfAborted()
    const answer = await ask()
    if (answer !== undefined) return answer
    if (performance.now() > deadline) throw new Error(`Waited ${timeoutMs / 1000} s for ${what}, in vain.`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
