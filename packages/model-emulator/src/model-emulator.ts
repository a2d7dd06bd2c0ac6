import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { type ChatRequest, chatRequest } from './chat-request.ts'
import { bodyPieces, completionOf, streamPieces } from './completion.ts'
import type { ModelReply, Script } from './model-reply.ts'

/** How many requests the book holds: the newest. */
const BOOK_LENGTH = 1000

export interface ModelEmulatorOptions {
  script?: Script
  /** Any free one by default. */
  port?: number
  /** When set, requests with another key are refused with 401. */
  apiKey?: string
  models?: readonly string[]
}

/** An OpenAI-compatible server on loopback that answers what a script says. */
export class ModelEmulator implements AsyncDisposable {
  /** The requests for completions, oldest first: the last thousand of them. */
  readonly requests: ChatRequest[] = []
  readonly #options: ModelEmulatorOptions
  readonly #closing = new AbortController()
  readonly #server = createServer((request, response) => {
    this.#serve(request, response).catch((error: unknown) => {
      // A client that has gone, or the end of the emulator, needs no answer any more.
      if (response.headersSent || this.#closing.signal.aborted) response.destroy()
      else respondError(response, 500, String(error))
    })
  })
  #script: Script
  #index = 0

  constructor(options: ModelEmulatorOptions) {
    this.#options = options
    this.#script = options.script ?? [{ text: 'Hello! How can I help you?' }]
  }

  /** The base URL that a client is given, which ends in `/v1`. */
  get baseUrl(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`
  }

  /** What is answered from now on. */
  follow(script: Script): void {
    this.#script = script
    this.#index = 0
  }

  async listen(port: number): Promise<void> {
    this.#server.listen(port, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readText(request)
    const { apiKey, models = ['emulated'] } = this.#options
    if (apiKey !== undefined && request.headers.authorization !== `Bearer ${apiKey}`) {
      return respondError(response, 401, 'Incorrect API key provided.')
    }
    const route = `${request.method} ${new URL(request.url ?? '/', 'http://localhost').pathname}`
    if (route === 'GET /v1/models') {
      const data = models.map((id) => ({ id, object: 'model', created: 0, owned_by: 'model-emulator' }))
      return respond(response, 200, JSON.stringify({ object: 'list', data }))
    }
    if (route !== 'POST /v1/chat/completions') return respondError(response, 404, `Nothing at ${route}.`)
    const parsed = chatRequest.safeParse(parseJson(body))
    if (!parsed.success) return respondError(response, 400, parsed.error.message)
    this.requests.push(parsed.data)
    if (this.requests.length > BOOK_LENGTH) this.requests.shift()
    await this.#answer(await this.#replyTo(parsed.data), parsed.data, response)
  }

  async #replyTo(request: ChatRequest): Promise<ModelReply> {
    const index = this.#index
    this.#index += 1
    if (typeof this.#script === 'function') return await this.#script(request, index)
    return this.#script[Math.min(index, this.#script.length - 1)] ?? {}
  }

  async #answer(reply: ModelReply, request: ChatRequest, response: ServerResponse): Promise<void> {
    if (reply.isSilent) return
    // Also over when the client gives up, so that nothing waits for what nobody reads.
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    const signal = AbortSignal.any([gone.signal, this.#closing.signal])
    const pause = async (ms = 0) => void (ms > 0 && (await delay(ms, undefined, { signal })))
    await pause(reply.delayMs)
    if (reply.raw !== undefined) {
      const { status, headers, body } = reply.raw
      return respond(response, status, body, headers)
    }
    const completion = completionOf(reply, request)
    const pieces = request.stream ? streamPieces(completion) : bodyPieces(completion)
    const type = request.stream ? 'text/event-stream' : 'application/json'
    response.writeHead(200, { 'content-type': type })
    if (reply.pieceDelayMs === undefined && reply.cutAfterPieces === undefined) {
      response.end(pieces.join(''))
      return
    }
    for (const [index, piece] of pieces.entries()) {
      if (index > 0) await pause(reply.pieceDelayMs)
      // What is written must have gone before the connection breaks.
      await new Promise((written) => response.write(piece, written))
      if (index + 1 === reply.cutAfterPieces) {
        response.destroy()
        return
      }
    }
    response.end()
  }
}

/** Starts an emulator in this process. Dispose of it with `await using` or `close()`. */
export async function startModelEmulator(options: ModelEmulatorOptions = {}): Promise<ModelEmulator> {
  const emulator = new ModelEmulator(options)
  await emulator.listen(options.port ?? 0)
  return emulator
}

function respond(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
}

function respondError(response: ServerResponse, status: number, message: string): void {
  respond(response, status, JSON.stringify({ error: { message, type: 'invalid_request_error', code: null } }))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not JSON: no value that a request can have.
    return undefined
  }
}
