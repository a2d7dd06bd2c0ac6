import { fetch as undiciFetch } from 'undici'
import { FrontdeskError } from '#src/model/errors.ts'
import type { OutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'

/**
 * `fetch` that keeps out of private networks, to the very addresses that were checked. It follows no redirect, and
 * reads no more of an answer than `maxBytes`: the body of a longer one ends with `AnswerTooLong`.
 */
export function guardedFetch(urlGuard: OutgoingUrlGuard, maxBytes: number): typeof globalThis.fetch {
  return async (input, init) => {
    const url = urlGuard.check(input instanceof Request ? input.url : String(input))
    // The two sets of types differ in names only.
    const options = { ...init, redirect: 'manual', dispatcher: urlGuard.agent } as Parameters<typeof undiciFetch>[1]
    const response = (await undiciFetch(url, options)) as unknown as Response
    const { status, statusText, headers } = response
    const body = response.body?.pipeThrough(atMost(maxBytes)) ?? null
    return new Response(body, { status, statusText, headers: [...headers] })
  }
}

function atMost(maxBytes: number): TransformStream<Uint8Array, Uint8Array> {
  let bytes = 0
  return new TransformStream({
    transform(chunk, controller) {
      bytes += chunk.length
      if (bytes > maxBytes) controller.error(new AnswerTooLong(`The answer is over ${maxBytes} bytes.`))
      else controller.enqueue(chunk)
    },
  })
}

/** More was answered than is read. */
export class AnswerTooLong extends Error {}

/** The error itself and what caused it, outermost first. */
export function causesOf(error: unknown): unknown[] {
  const causes: unknown[] = []
  for (let each = error; each !== undefined && causes.length < 10; ) {
    causes.push(each)
    each = each instanceof Error ? each.cause : undefined
  }
  return causes
}

/** What a request failed by, without anything of what was sent or answered: for the log and the trace. */
export function describeNetworkError(error: unknown): string {
  const causes = causesOf(error)
  const known = causes.find((each) => each instanceof FrontdeskError || each instanceof AnswerTooLong)
  if (known instanceof Error) return known.message
  const coded = causes.find((each) => each instanceof Error && 'code' in each && typeof each.code === 'string')
  return coded === undefined ? 'No usable answer.' : String((coded as { code?: unknown }).code)
}
