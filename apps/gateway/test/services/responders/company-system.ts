import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Call {
  method: string
  headers: IncomingHttpHeaders
  /** The body as it came, and as JSON. */
  text: string
  body: unknown
}

type Reply = (response: ServerResponse, call: Call) => void

/** A company's own system on loopback. Each call takes the next reply; the last one stays. */
export async function startCompanySystem(...replies: Reply[]) {
  const calls: Call[] = []
  const server = createServer((message, response) => {
    const chunks: Buffer[] = []
    message.on('data', (chunk: Buffer) => chunks.push(chunk))
    message.on('end', () => {
      const text = Buffer.concat(chunks).toString()
      const call = { method: message.method ?? '', headers: message.headers, text, body: JSON.parse(text) }
      calls.push(call)
      const reply = replies[Math.min(calls.length, replies.length) - 1]
      reply?.(response, call)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/answer`,
    calls,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export const status =
  (code: number, headers: Record<string, string> = {}): Reply =>
  (response) =>
    response.writeHead(code, headers).end()

export const raw =
  (body: string, code = 200): Reply =>
  (response) =>
    response.writeHead(code, { 'content-type': 'application/json' }).end(body)

export const json = (body: unknown): Reply => raw(JSON.stringify(body))

export const texts = (...each: string[]): Reply => json({ messages: each.map((text) => ({ kind: 'text', text })) })

/** Never answers; the test's end closes the connection. */
export const silence: Reply = () => undefined

/** Breaks the connection without an answer. */
export const hangUp: Reply = (response) => response.destroy()
