import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import type { WebhookPayload } from '@frontdesk/api-contract'

/** What has arrived at one URL: by the WhatsApp id of each message, when it came first, by the clock. */
interface WebhookEndpointHere {
  readonly url: string
  readonly arrivedAtMs: Map<string, number>
}

export interface WebhookReceiver {
  /** A URL of its own, which answers by `answer`; with 204 at once unless told. */
  open(answer?: (response: ServerResponse) => void): WebhookEndpointHere
}

/** Takes webhooks in this process, which has little else to do. It ends with `resources`. */
export async function startWebhookReceiver(resources: AsyncDisposableStack): Promise<WebhookReceiver> {
  const endpoints: { arrivedAtMs: Map<string, number>; answer: (response: ServerResponse) => void }[] = []
  const server = createServer((request, response) => {
    const atMs = performance.timeOrigin + performance.now()
    const endpoint = endpoints[Number(request.url?.slice(1))]
    json(request).then(
      (body) => {
        const id = (body as WebhookPayload).message?.whatsappId
        if (id !== undefined && endpoint?.arrivedAtMs.has(id) === false) endpoint.arrivedAtMs.set(id, atMs)
        endpoint?.answer(response)
      },
      // The gateway has gone away in the middle of it.
      () => response.destroy(),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  resources.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    open(answer = (response) => response.writeHead(204).end()) {
      const arrivedAtMs = new Map<string, number>()
      endpoints.push({ arrivedAtMs, answer })
      return { url: `http://127.0.0.1:${port}/${endpoints.length - 1}`, arrivedAtMs }
    },
  }
}

/** For `openFrontdeskSide`: the gateway may call it although it is on loopback. */
export const LOOPBACK_ALLOWED = { FRONTDESK_ALLOWED_HOSTS: '127.0.0.1' }
