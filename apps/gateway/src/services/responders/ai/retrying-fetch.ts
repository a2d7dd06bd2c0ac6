import { setTimeout as delay } from 'node:timers/promises'
import { FrontdeskError } from '#src/model/errors.ts'
import { backoffMs } from '#src/services/lanes/backoff.ts'
import { readRetryAfter } from '#src/services/webhooks/retry-after.ts'
import { AnswerTooLong, causesOf } from './guarded-fetch.ts'

const RETRIES = 3

/**
 * Repeats a request after 429, 5xx and a connection that broke, also in the middle of the answer, which is read to its
 * end. Waits as long as the header `Retry-After` says, unless that is beyond `deadlineMs`, by the clock of `performance`.
 */
export function retryingFetch(
  fetch: typeof globalThis.fetch,
  { firstRetryMs, deadlineMs }: { firstRetryMs: number; deadlineMs: number },
): typeof globalThis.fetch {
  return async (input, init) => {
    const signal = init?.signal ?? undefined
    for (let attempt = 1; ; attempt += 1) {
      let waitMs = backoffMs(attempt, { firstMs: firstRetryMs, maxMs: 10_000 })
      const mayRetry = () => attempt <= RETRIES && performance.now() + waitMs < deadlineMs
      try {
        const response = await fetch(input, init)
        const { status, headers } = response
        const body = await response.arrayBuffer()
        waitMs = readRetryAfter(headers.get('retry-after') ?? undefined) ?? waitMs
        const isPassing = status === 429 || status >= 500
        if (!isPassing || !mayRetry()) {
          return new Response(body.byteLength === 0 ? null : body, { status, headers: [...headers] })
        }
      } catch (error) {
        signal?.throwIfAborted()
        const isFinal = causesOf(error).some((each) => each instanceof FrontdeskError || each instanceof AnswerTooLong)
        if (isFinal || !mayRetry()) throw error
      }
      await delay(waitMs, undefined, { signal })
    }
  }
}
