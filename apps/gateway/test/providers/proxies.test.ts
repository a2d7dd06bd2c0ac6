import { once } from 'node:events'
import { type AddressInfo, createServer, type LookupFunction, type Server, type Socket } from 'node:net'
import { createServer as createSocksServer } from '@pondwader/socks5-server'
import { pino } from 'pino'
import { Server as HttpProxy } from 'proxy-chain'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Emulator, startEmulator } from 'whatsapp-emulator'
import { createBaileysProvider } from '#src/providers/baileys/create-baileys-provider.ts'
import { createOutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'
import { until } from '../support/until.ts'
import { MemorySessionStore } from './support/memory-session-store.ts'
import { sendText, TestSession } from './support/test-session.ts'

const PASSWORD = 's3cret-word'
const CONNECT_MS = 400

let emulator: Emulator
const log: string[] = []
/** What the test started, in the order in which it is stopped. */
const running: (() => unknown)[] = []

beforeAll(async () => {
  emulator = await startEmulator({ behaviour: { sendsHistory: false } })
})
afterEach(async () => {
  for (const stop of running.splice(0)) await stop()
})
afterAll(() => emulator.close())

interface Options {
  url?: string
  connectMs?: number
  proxyLookup?: LookupFunction
}

function provider({ proxyLookup, ...options }: Options = {}) {
  const logger = pino({ level: 'trace' }, { write: (line: string) => log.push(line) })
  return createBaileysProvider({
    logger,
    emulator: { url: options.url ?? emulator.url, rootKey: emulator.rootKey },
    ...(proxyLookup && { proxyLookup }),
    timeouts: { connectMs: options.connectMs ?? 40_000 },
  })
}

const session = (proxy: string, options: Options = {}) =>
  new TestSession({ provider: provider(options), store: new MemorySessionStore(), settings: { proxy } })

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** A proxy that answers every connection in this way, and none of the protocol. */
async function startFake(answer: (socket: Socket) => void): Promise<{ port: number; sockets: Set<Socket> }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    // The other side resets what it gives up.
    socket.on('error', () => undefined)
    answer(socket)
  })
  const port = await listen(server)
  running.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port, sockets }
}

/** Takes in what it is told, and says nothing. */
const hang = (socket: Socket) => void socket.resume()

/** Both count what goes through them, and want to know the user. */
const kinds = {
  async http() {
    let tunnels = 0
    const proxy = new HttpProxy({
      port: 0,
      host: '127.0.0.1',
      prepareRequestFunction: ({ username, password }) => {
        tunnels += 1
        return { requestAuthentication: username !== 'salon' || password !== PASSWORD }
      },
    })
    await proxy.listen()
    running.push(() => proxy.close(true))
    return { url: (password: string) => `http://salon:${password}@127.0.0.1:${proxy.port}`, tunnels: () => tunnels }
  },
  async socks5() {
    let tunnels = 0
    const proxy = createSocksServer({ auth: { username: 'salon', password: PASSWORD } })
    proxy.setRulesetValidator(() => {
      tunnels += 1
      return true
    })
    const server: Server = Reflect.get(proxy, 'server')
    const port = await listen(server)
    running.push(() => server.close())
    return { url: (password: string) => `socks5://salon:${password}@127.0.0.1:${port}`, tunnels: () => tunnels }
  },
}

describe.each(['http', 'socks5'] as const)('through a proxy of kind %s', (kind) => {
  test('a session is linked, comes online and sends', async () => {
    const proxy = await kinds[kind]()
    const phone = kind === 'http' ? '491700000001' : '491700000002'
    const open = await session(proxy.url(PASSWORD)).link(emulator, phone)
    await sendText(open, { phone: '491719990001' }, 'through the proxy')
    // One connection for the linking and one for the login.
    expect(proxy.tunnels()).toBeGreaterThanOrEqual(2)
    await open.connection.close()
  })

  test('a wrong password is refused, and stands in no log', async () => {
    const proxy = await kinds[kind]()
    const { events } = session(proxy.url('wr0ng-word')).open()
    const closing = await until(() => events.closings[0])
    expect(closing.reason).toBe('proxy_failed')
    expect(closing.detail).not.toContain('wr0ng')
    expect(log.join('')).not.toMatch(/wr0ng|s3cret/)
  })

  test('a proxy that is not there', async () => {
    const server = createServer()
    const port = await listen(server)
    server.close()
    const { events } = session(`${kind}://127.0.0.1:${port}`).open()
    expect(await until(() => events.closings[0])).toMatchObject({
      reason: 'proxy_failed',
      detail: expect.stringContaining('ECONNREFUSED'),
    })
  })

  test('a name that has come to lead into a private network is not connected to', async () => {
    const { port, sockets } = await startFake(hang)
    const open = async (allowedHosts: string[]) => {
      const guard = createOutgoingUrlGuard(allowedHosts)
      running.push(() => guard[Symbol.asyncDispose]())
      return session(`${kind}://localhost:${port}`, { proxyLookup: guard.lookup }).open()
    }
    const { events } = await open([])
    expect(await until(() => events.closings[0])).toMatchObject({ reason: 'proxy_failed' })
    expect(sockets.size).toBe(0)
    const { connection } = await open(['localhost'])
    await until(() => sockets.size > 0)
    await connection.close()
  })

  test('one that hangs is given up at the deadline, and nothing of it is left open', async () => {
    const { port, sockets } = await startFake(hang)
    const { events } = session(`${kind}://127.0.0.1:${port}`, { connectMs: CONNECT_MS }).open()
    await until(() => sockets.size > 0)
    expect(await until(() => events.closings[0])).toMatchObject({ reason: 'proxy_failed' })
    if (kind === 'http') await until(() => sockets.size === 0)
  })

  test('closing while it hangs does not wait for it', async () => {
    const { port, sockets } = await startFake(hang)
    const { connection, events } = session(`${kind}://127.0.0.1:${port}`).open()
    await until(() => sockets.size > 0)
    await connection.close()
    expect(events.closings).toEqual([{ reason: 'closed_by_us', detail: expect.any(String) }])
  })

  test('one that answers garbage', async () => {
    const { port } = await startFake((socket) => socket.end('220 mail.example ESMTP\r\nwhat?\r\n\r\n'))
    const { events } = session(`${kind}://127.0.0.1:${port}`, { connectMs: CONNECT_MS }).open()
    expect(await until(() => events.closings[0])).toMatchObject({ reason: 'proxy_failed' })
  })
})

describe('an HTTP proxy that says yes', () => {
  const yes = 'HTTP/1.1 200 Connection established\r\n\r\n'

  test.each([
    ['and closes', (socket: Socket) => void socket.once('data', () => socket.end(yes))],
    [
      'and resets',
      (socket: Socket) => void socket.once('data', () => socket.write(yes, () => socket.resetAndDestroy())),
    ],
    [
      'and talks nonsense',
      (socket: Socket) => void socket.once('data', () => socket.write(`${yes}\u0001\u0002 nonsense\r\n\r\n`)),
    ],
    ['and nothing more', (socket: Socket) => void socket.once('data', () => socket.write(yes))],
  ])('%s', async (_what, answer) => {
    const { port } = await startFake(answer)
    const { events } = session(`http://127.0.0.1:${port}`, { connectMs: CONNECT_MS }).open()
    expect(await until(() => events.closings[0])).toMatchObject({ reason: 'proxy_failed' })
  })

  test('speaks TLS to WhatsApp inside, also in a process that takes no stack traces', async () => {
    let first: Buffer | undefined
    const { port } = await startFake((socket) => {
      socket.once('data', () => {
        socket.write(yes)
        socket.once('data', (data) => {
          first = data
          socket.end()
        })
      })
    })
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    const { events } = session(`http://127.0.0.1:${port}`, { url: 'wss://127.0.0.1:9/ws/chat' }).open()
    await until(() => events.closings[0])
    Error.stackTraceLimit = stackTraceLimit
    // A TLS handshake record.
    expect(first?.[0]).toBe(0x16)
  })
})

test.each(['ftp://127.0.0.1:1', 'nonsense', 'http://'])('%s is no proxy', async (proxy) => {
  const { events } = session(proxy).open()
  expect(await until(() => events.closings[0])).toMatchObject({ reason: 'proxy_failed' })
})
