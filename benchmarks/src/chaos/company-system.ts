import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import type { ResponderRequest, WebhookPayload } from '@frontdesk/api-contract'
import { Webhook } from 'standardwebhooks'

/** A responder thinks for a moment: so there are always turns that a kill can meet. */
const THINKING_MS = 50
/** Every company's turns and webhooks come to this one server, after a kill all at once. */
const BACKLOG = 4096

/** A turn as the responder has seen it. */
export interface SeenTurn {
  /** What the customer wrote, in the order in which it was put before the responder. */
  texts: string[]
  answer: string
}

/**
 * The systems of all companies: each answers its customers over HTTP and takes its webhooks, as an integrator would
 * write it. It remembers which turns and events it has had, since both can come again.
 */
export class CompanySystem implements AsyncDisposable {
  readonly #secrets = new Map<string, string>()
  readonly #server = createServer((request, response) => void this.#take(request, response))
  /** By id, in the order in which they were first seen. */
  readonly turns = new Map<string, SeenTurn>()
  /** The texts that were put before the responder. */
  readonly seen = new Set<string>()
  /** The ids of events that came. */
  readonly events = new Set<string>()
  /** WhatsApp ids of messages, each with the types of the events that came about it. */
  readonly told = new Map<string, Set<string>>()
  /** Turns and events that came again. */
  repeated = 0
  /** What no integrator should ever see. */
  readonly violations: string[] = []

  static async start(): Promise<CompanySystem> {
    const system = new CompanySystem()
    await new Promise<void>((resolve) =>
      system.#server.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG }, resolve),
    )
    return system
  }

  get answerUrl(): string {
    return `${this.#url}/answer`
  }

  get eventsUrl(): string {
    return `${this.#url}/events`
  }

  /** The secret that the company's webhooks are signed with. */
  expect(companyId: string, secret: string): void {
    this.#secrets.set(companyId, secret)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  get #url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const body = (await buffer(request)).toString()
      if (request.url === '/answer') {
        const answer = this.#answer(JSON.parse(body) as ResponderRequest)
        await delay(THINKING_MS)
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
      } else {
        this.#hear(JSON.parse(body) as WebhookPayload, body, request)
        response.writeHead(204).end()
      }
    } catch (error) {
      // Whoever asked may have been killed in the middle of it.
      if (request.complete) this.violations.push(String(error))
      response.destroy()
    }
  }

  #answer({ turnId, messages }: ResponderRequest) {
    const texts = messages.map(({ content }) => (content.kind === 'text' ? content.text : content.kind))
    const known = this.turns.get(turnId)
    if (known !== undefined) {
      this.repeated += 1
      if (known.texts.join() !== texts.join()) this.violations.push(`turn ${turnId} came again with other messages`)
    } else {
      this.turns.set(turnId, { texts, answer: `The answer to turn ${turnId}.` })
      for (const text of texts) this.seen.add(text)
    }
    return { messages: [{ kind: 'text', text: `The answer to turn ${turnId}.` }] }
  }

  #hear({ id, type, companyId, message }: WebhookPayload, body: string, { headers }: IncomingMessage): void {
    try {
      new Webhook(this.#secrets.get(companyId) ?? '').verify(body, headers as Record<string, string>)
    } catch (error) {
      this.violations.push(`event ${id} is not signed as it should be: ${String(error)}`)
    }
    if (headers['webhook-id'] !== id) this.violations.push(`event ${id} came as ${String(headers['webhook-id'])}`)
    if (this.events.has(id)) this.repeated += 1
    this.events.add(id)
    if (message === null) return
    const told = this.told.get(message.whatsappId) ?? new Set()
    this.told.set(message.whatsappId, told.add(type))
  }
}
