import { setTimeout as delay } from 'node:timers/promises'
import { FrontdeskError } from '#src/model/errors.ts'
import { backoffMs } from '#src/services/lanes/backoff.ts'
import { readRetryAfter } from '#src/services/webhooks/retry-after.ts'
import { AnswerTooLong, causesOf } from './guarded-fetch.ts'

const RETRIES = 3
/** Longer than any answer may take; timers of more than 24 days fire at once. */
const MAX_WAIT_MS = 3_600_000

/**
 * Repeats a request after 429, 5xx and a connection that broke, also in the middle of the answer, which is read to its
 * end. Waits as long as the header `Retry-After` says; whoever aborts the request decides how long that may take.
 */
export function retryingFetch(fetch: typeof globalThis.fetch, firstRetryMs: number): typeof globalThis.fetch {
  return async (input, init) => {
    const signal = init?.signal ?? undefined
    for (let attempt = 1; ; attempt += 1) {
      let retryAfterMs: number | undefined
      try {
        const response = await fetch(input, init)
        const { status, headers } = response
        const body = await response.arrayBuffer()
        const mayPass = status === 429 || status >= 500
        if (!mayPass || attempt > RETRIES) {
          return new Response(body.byteLength === 0 ? null : body, { status, headers: [...headers] })
        }
        retryAfterMs = readRetryAfter(headers.get('retry-after') ?? undefined)
      } catch (error) {
        signal?.throwIfAborted()
        const isFinal = causesOf(error).some((each) => each instanceof FrontdeskError || each instanceof AnswerTooLong)
        if (isFinal || attempt > RETRIES) throw error
      }
      const waitMs = retryAfterMs ?? backoffMs(attempt, { firstMs: firstRetryMs, maxMs: 10_000 })
      await delay(Math.min(waitMs, MAX_WAIT_MS), undefined, { signal })
    }
  }
}
