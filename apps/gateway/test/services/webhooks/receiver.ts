import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { WebhookPayload } from '@frontdesk/api-contract'

export interface Received {
  headers: Record<string, string>
  body: string
  payload: WebhookPayload
  /** The connection that it came over. */
  connection: IncomingMessage['socket']
}

export type Reply = (response: ServerResponse, received: Received) => void

export const status =
  (code: number, headers: Record<string, string> = {}, body = ''): Reply =>
  (response) =>
    response.writeHead(code, headers).end(body)
export const taken = status(204)
/** Never answers; the test's end closes the connection. */
export const silence: Reply = () => undefined

/** A company's system on loopback that takes webhooks. `reply` can be changed at any time. */
export async function startReceiver(reply: Reply = taken) {
  const received: Received[] = []
  const receiver = {
    url: '',
    received,
    reply,
    /** Requests under way now, and the most that ever were. */
    underWay: 0,
    mostUnderWay: 0,
    types: () => received.map(({ payload }) => payload.type),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  const server = createServer((message, response) => {
    const chunks: Buffer[] = []
    receiver.underWay += 1
    receiver.mostUnderWay = Math.max(receiver.mostUnderWay, receiver.underWay)
    response.on('close', () => {
      receiver.underWay -= 1
    })
    message.on('data', (chunk: Buffer) => chunks.push(chunk))
    message.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      const one: Received = {
        headers: message.headers as Record<string, string>,
        body,
        payload: JSON.parse(body) as WebhookPayload,
        connection: message.socket,
      }
      received.push(one)
      receiver.reply(response, one)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
  return receiver
}

export type Receiver = Awaited<ReturnType<typeof startReceiver>>
