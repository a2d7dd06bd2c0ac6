import type { Company, CompanySettings, WebhookEndpointWithSecret } from '@frontdesk/api-contract'
import { Agent, request } from 'undici'
import type { SeededSession } from '../support/seed.ts'
import type { CompanySystem } from './company-system.ts'
import type { Chat } from './kill-traffic.ts'

/** An answer that takes longer does not come any more. */
const TIMEOUT_MS = 10_000
/** One for each message, in either direction. */
const EVENT_TYPES = ['message.received', 'message.queued']
/** A machine that is busy with its own recovery is not to be taken for a responder that does not answer. */
const RESPONDER = { timeoutMs: 60_000, retries: 5 }

/** The gateway's API as companies call it, by the numbers of their sessions. */
export class CompanyApi implements AsyncDisposable {
  readonly #sessions: ReadonlyMap<string, SeededSession>
  readonly #agent = new Agent({ headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS })
  /** Of the gateway that runs now. */
  url = ''

  constructor(sessions: ReadonlyMap<string, SeededSession>) {
    this.#sessions = sessions
  }

  /** Has every company's customers answered, and its webhooks taken, by this system. */
  async connect(system: CompanySystem): Promise<void> {
    const settings: CompanySettings = {
      batching: { maxMs: 0 },
      responders: [{ kind: 'http', url: system.answerUrl, ...RESPONDER }],
    }
    for (const { apiKey } of this.#sessions.values()) {
      const { id } = await this.#demand<Company>('PATCH', '/v1/company', apiKey, { settings })
      const endpoint = { url: system.eventsUrl, eventTypes: EVENT_TYPES }
      const { secret } = await this.#demand<WebhookEndpointWithSecret>(
        'POST',
        '/v1/webhook-endpoints',
        apiKey,
        endpoint,
      )
      system.expect(id, secret)
    }
  }

  /** Resolves with the message's id, or with undefined when it must be asked again. Rejects when it was refused. */
  async send({ phone, customer }: Chat, text: string): Promise<string | undefined> {
    const { id: sessionId, apiKey } = this.#sessions.get(phone) ?? raise(`There is no session of ${phone}.`)
    const body = { sessionId, to: customer, content: { kind: 'text', text } }
    // No text is sent twice: it is its own key.
    const key = text.replaceAll(' ', '-')
    const answer = await this.#call('POST', '/v1/messages', apiKey, body, key).catch(() => undefined)
    if (answer === undefined || answer.status >= 500) return undefined
    if (answer.status !== 202) throw new Error(`The gateway answered ${answer.status}: ${answer.text}`)
    return (JSON.parse(answer.text) as { id: string }).id
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy()
  }

  async #demand<Answer>(method: 'PATCH' | 'POST', path: string, apiKey: string, body: unknown): Promise<Answer> {
    const { status, text } = await this.#call(method, path, apiKey, body)
    if (status >= 300) throw new Error(`The gateway answered ${status}: ${text}`)
    return JSON.parse(text) as Answer
  }

  async #call(method: 'PATCH' | 'POST', path: string, apiKey: string, body: unknown, idempotencyKey?: string) {
    const { statusCode: status, body: answer } = await request(new URL(path, this.url), {
      dispatcher: this.#agent,
      method,
      headers: {
        authorization: `Bearer ${apiKey}`,
        'content-type': 'application/json',
        ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
      },
      body: JSON.stringify(body),
    })
    return { status, text: await answer.text() }
  }
}

function raise(reason: string): never {
  throw new Error(reason)
}
