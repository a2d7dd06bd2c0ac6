import { type Dispatcher, request } from 'undici'
import { type ErrorCode, FrontdeskError } from '#src/model/errors.ts'
import { sanitizeText } from '#src/model/text.ts'
import type { OutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'

/** From the attempt's begin to its end, whatever the endpoint does. */
const TIMEOUT_MS = 15_000
const HEADERS_TIMEOUT_MS = 10_000
/** The status is known by then: nobody waits long for the rest. */
const BODY_TIMEOUT_MS = 2_000
const ANSWER_BYTES = 1024
/** A longer answer costs its connection, which is cut. */
const MAX_READ_BYTES = 64 * 1024

export interface PostResult {
  /** Null without an answer. */
  status: number | null
  /** Why it failed; null for a status of 2xx. */
  code: ErrorCode | null
  /** The first KB of the answer. */
  answer: string
  /** How long the endpoint asks us to wait. */
  retryAfterMs: number | undefined
}

export interface PostOptions {
  url: string
  body: string
  headers: Record<string, string>
  urlGuard: Pick<OutgoingUrlGuard, 'check' | 'agent'>
  signal: AbortSignal
  /** From the attempt's begin to its end. */
  timeoutMs?: number
}

/** One attempt. Redirects are not followed. Rejects only when `signal` is aborted. */
export async function postDelivery({
  url,
  body,
  headers,
  urlGuard,
  signal,
  timeoutMs = TIMEOUT_MS,
}: PostOptions): Promise<PostResult> {
  const timeout = AbortSignal.timeout(timeoutMs)
  try {
    const response = await request(urlGuard.check(url), {
      dispatcher: urlGuard.agent,
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', 'user-agent': 'Frontdesk' },
      body,
      headersTimeout: HEADERS_TIMEOUT_MS,
      bodyTimeout: BODY_TIMEOUT_MS,
      signal: AbortSignal.any([signal, timeout]),
    })
    const status = response.statusCode
    const answer = await readBeginning(response.body)
    const isTaken = status >= 200 && status <= 299
    const retryAfterMs = readRetryAfter(response.headers['retry-after'])
    return { status, code: isTaken ? null : 'webhook_failed', answer, retryAfterMs }
  } catch (error) {
    signal.throwIfAborted()
    return { status: null, code: codeOf(error, timeout), answer: '', retryAfterMs: undefined }
  }
}

/** The beginning as text. The rest is read as well, if it is short, so that the connection can be used again. */
async function readBeginning(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      if (bytes < ANSWER_BYTES) chunks.push(chunk)
      bytes += chunk.length
      // Leaving the loop ends the connection.
      if (bytes > MAX_READ_BYTES) break
    }
  } catch {
    // The status has come, and it alone counts: what is there of the answer is for people to read.
  }
  const text = Buffer.concat(chunks).subarray(0, ANSWER_BYTES).toString('utf8')
  return sanitizeText(text)
}

function readRetryAfter(header: string | string[] | undefined): number | undefined {
  const [value] = [header ?? []].flat()
  if (value === undefined) return undefined
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}

function codeOf(error: unknown, timeout: AbortSignal): ErrorCode {
  if (timeout.aborted) return 'webhook_timed_out'
  if (error instanceof FrontdeskError) return error.code
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_CONNECT_TIMEOUT'
    ? 'webhook_timed_out'
    : 'webhook_unreachable'
}
