import { MESSAGE_MODEL_VERSION, type ResponderRequest, responderAnswer } from '@frontdesk/api-contract'
import { type Dispatcher, request } from 'undici'
import { type ErrorCode, FrontdeskError } from '#src/model/errors.ts'
import { isBlank, sanitizeText } from '#src/model/text.ts'
import type { Turn } from '#src/model/turn.ts'
import { readRetryAfter } from '#src/services/webhooks/retry-after.ts'
import { signDelivery } from '#src/services/webhooks/sign-delivery.ts'
import type { Reply } from './responder.ts'

const MAX_ANSWER_BYTES = 1024 * 1024

export interface ResponderFailure {
  errorCode: ErrorCode
  /** For the log: what happened, without anything of the messages. */
  detail: string
  /** Whether another attempt would fail the same way. */
  isFinal: boolean
  /** How long the company's system asks us to wait. */
  retryAfterMs?: number
}

export interface PostOptions {
  url: URL
  agent: Dispatcher
  timeoutMs: number
  signal: AbortSignal
  /** Signs the request, as webhooks are. */
  secret?: string
  /** Nothing is to come of it. */
  isTrial: boolean
}

/** One attempt to have a turn answered by a company's system. Rejects only when `signal` is aborted. */
export async function postTurn(
  turn: Turn,
  { url, agent, timeoutMs, signal, secret, isTrial }: PostOptions,
): Promise<Reply | ResponderFailure> {
  const timeout = AbortSignal.timeout(timeoutMs)
  const posted = JSON.stringify(requestOf(turn, isTrial))
  const signature = secret !== undefined && signDelivery(turn.id, posted, { secrets: [secret], at: new Date() })
  try {
    const { statusCode, headers, body } = await request(url, {
      dispatcher: agent,
      method: 'POST',
      headers: {
        ...{ 'content-type': 'application/json', 'idempotency-key': turn.id, 'user-agent': 'Frontdesk' },
        ...signature,
      },
      body: posted,
      signal: AbortSignal.any([signal, timeout]),
    })
    // The whole answer is read, even if only its status counts, so that the connection can be used again.
    const text = await readText(body)
    const judged = judge(statusCode, text)
    const retryAfterMs = 'outcome' in judged ? undefined : readRetryAfter(headers['retry-after'])
    return retryAfterMs === undefined ? judged : { ...judged, retryAfterMs }
  } catch (error) {
    signal.throwIfAborted()
    if (timeout.aborted) {
      return { errorCode: 'responder_timed_out', detail: `No answer within ${timeoutMs} ms.`, isFinal: false }
    }
    if (error instanceof FrontdeskError) return { errorCode: error.code, detail: error.message, isFinal: true }
    return { errorCode: 'responder_unreachable', detail: codeOf(error), isFinal: false }
  }
}

const requestOf = (
  { id, company, session, contact, conversation, isFirst, heldUntil, messages }: Turn,
  isTrial: boolean,
): ResponderRequest => ({
  modelVersion: MESSAGE_MODEL_VERSION,
  turnId: id,
  ...{ isTrial, company, session, contact },
  conversation: {
    ...{ id: conversation.id, state: conversation.state, labels: conversation.labels, isFirst },
    heldUntil: heldUntil?.toISOString() ?? null,
  },
  messages: messages.map((message) => ({ ...message, sentAt: message.sentAt.toISOString() })),
})

/** The body as text, or undefined when it is longer than an answer may be. */
async function readText(body: Dispatcher.ResponseData['body']): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length
    // Leaving the loop ends the connection.
    if (bytes > MAX_ANSWER_BYTES) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function judge(status: number, text: string | undefined): Reply | ResponderFailure {
  if (status < 200 || status > 299) {
    const detail = `Status ${status}${status >= 300 && status < 400 ? '; redirects are not followed' : ''}.`
    return { errorCode: 'responder_failed', detail, isFinal: status < 500 && status !== 429 }
  }
  if (text === undefined) return invalid(`The answer is over ${MAX_ANSWER_BYTES} bytes.`)
  if (status === 204) return { outcome: 'silent', messages: [] }
  const answer = responderAnswer.safeParse(parseJson(text))
  if (!answer.success) {
    const [issue] = answer.error.issues
    // Where it is wrong and what is expected there; never the value.
    return invalid(`At "${issue?.path.join('.')}": ${issue?.code}.`)
  }
  const { messages: said = [], pass = false, handoff, labels } = answer.data
  const messages = said.map((message) => ({ ...message, text: sanitizeText(message.text) }))
  if (messages.some(({ text: each }) => isBlank(each))) return invalid('A message is blank.')
  return {
    outcome: pass ? 'passed' : messages.length > 0 ? 'answered' : 'silent',
    messages,
    ...(handoff && { handoff: sanitizeText(handoff.reason) }),
    ...(labels && { labels }),
  }
}

const invalid = (detail: string): ResponderFailure => ({
  errorCode: 'responder_answer_invalid',
  detail,
  isFinal: true,
})

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not JSON: no value that the schema takes.
    return undefined
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'No connection.'
