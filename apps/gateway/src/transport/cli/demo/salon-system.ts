import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'

const PRICES = [
  { service: 'balayage', price: '140 €', takes: 'about three hours' },
  { service: 'haircut', price: '48 €', takes: '45 minutes' },
  { service: 'colouring', price: '85 €', takes: 'two hours' },
]

export interface SalonSystem extends AsyncDisposable {
  /** Where it tells its prices. */
  pricesUrl: string
}

/** The salon's own software, as far as an assistant needs it: a price list on loopback. */
export async function startSalonSystem(): Promise<SalonSystem> {
  const server = createServer((request, response) => {
    json(request).then(
      (body) => {
        const { service = '' } = (body as { arguments: { service?: string } }).arguments
        const prices = PRICES.filter((each) => service.toLowerCase().includes(each.service))
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ prices }))
      },
      // Whoever asked has gone, or it was no JSON.
      () => response.writeHead(400).end(),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    pricesUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/prices`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
