import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { request } from 'undici'
import { expect, test } from 'vitest'
import { createOutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'

const refused = expect.objectContaining({ code: 'url_not_allowed' })

test.each([
  'http://127.0.0.1/',
  'http://127.1/',
  'http://2130706433/',
  'http://0x7f000001/',
  'http://0/',
  'https://10.1.2.3/',
  'http://172.16.0.1/',
  'http://192.168.1.1:8080/',
  'http://169.254.169.254/latest/meta-data/',
  'http://100.64.0.1/',
  'http://224.0.0.1/',
  'http://255.255.255.255/',
  'http://198.18.0.1/',
  'http://[::]/',
  'http://[::1]/',
  'http://[fe80::1]/',
  'http://[fd00::1]/',
  'http://[ff02::1]/',
  'http://[::ffff:127.0.0.1]/',
  'http://[::ffff:a00:1]/',
  'http://[64:ff9b::7f00:1]/',
  'http://[64:ff9b:1::1]/',
  'http://[2002:7f00:1::]/',
  'ftp://example.com/',
  'file:///etc/passwd',
  'javascript:alert(1)',
  'not a url',
])('%s is refused without a network', (url) => {
  expect(() => createOutgoingUrlGuard([]).check(url)).toThrow(refused)
})

test.each([
  'http://93.184.215.14/',
  'https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/',
  'http://[64:ff9b::5db8:d70e]/',
  'https://salon.example/hook?x=1',
])('%s is allowed', (url) => {
  expect(createOutgoingUrlGuard([]).check(url).href).toBe(new URL(url).href)
})

/** A name server that knows one host, and a web server on loopback that counts its visitors. */
async function setUp(addresses: string[], allowedHosts: string[] = []) {
  let visits = 0
  const server = createServer((_, response) => {
    visits += 1
    response.end('inside')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  let lookups = 0
  const guard = createOutgoingUrlGuard(allowedHosts, (_hostname, _options, callback) => {
    lookups += 1
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )
  })
  return {
    guard,
    visit: async (host: string) => {
      const url = guard.check(`http://${host}:${port}/`)
      const { body } = await request(url, { dispatcher: guard.agent })
      return body.text()
    },
    visits: () => visits,
    lookups: () => lookups,
    async [Symbol.asyncDispose]() {
      await guard[Symbol.asyncDispose]()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

test.each([[['127.0.0.1']], [['::1']], [['::ffff:127.0.0.1']], [['93.184.215.14', '127.0.0.1']]])(
  'a name that leads to %j is refused when it is connected to',
  async (addresses) => {
    await using place = await setUp(addresses)
    await expect(place.visit('inside.example')).rejects.toThrow(refused)
    expect(place.visits()).toBe(0)
  },
)

test("the operator's exceptions are reached, by name and by address, whatever their spelling", async () => {
  await using place = await setUp(['127.0.0.1'], ['Inside.example', '127.0.0.1'])
  expect(await place.visit('inside.example')).toBe('inside')
  expect(await place.visit('INSIDE.EXAMPLE.')).toBe('inside')
  expect(await place.visit('127.0.0.1')).toBe('inside')
  await expect(place.visit('outside.example')).rejects.toThrow(refused)
})

test('the address that was checked is the one that is connected to: there is one lookup for a connection', async () => {
  await using place = await setUp(['127.0.0.1'], ['inside.example'])
  await place.visit('inside.example')
  expect(place.lookups()).toBe(1)
})
