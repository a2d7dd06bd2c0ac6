import { createCipheriv, createHmac } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type LookupFunction } from 'node:net'
import { deflateSync } from 'node:zlib'
import { getMediaKeys, proto } from 'baileys'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Emulator, startEmulator } from 'whatsapp-emulator'
import { isAnswerable } from '#src/model/answerable.ts'
import { createBaileysProvider } from '#src/providers/baileys/create-baileys-provider.ts'
import { HistorySync, undoneHistory } from '#src/providers/baileys/history-sync.ts'
import { RatchetStore } from '#src/providers/baileys/ratchet-store.ts'
import { until } from '../support/until.ts'
import { MemorySessionStore } from './support/memory-session-store.ts'
import { TestSession } from './support/test-session.ts'

const COMPANY = '491700000001'
const CUSTOMER = '491719990001'

const undone = (store: MemorySessionStore) => [...store.keys.keys()].filter((key) => key.startsWith('undone-history/'))

describe('the history of a number that is linked', () => {
  let emulator: Emulator
  beforeAll(async () => {
    emulator = await startEmulator()
    await emulator.sendText({ from: CUSTOMER, to: COMPANY, text: 'Do you have time tomorrow?' })
    await emulator.sendText({ from: COMPANY, to: CUSTOMER, text: 'At ten.' })
  })
  afterAll(() => emulator.close())

  test('is stored, with the LIDs that it tells, and is not to be answered', async () => {
    const store = new MemorySessionStore()
    const { connection } = await new TestSession({ provider: createBaileysProvider({ emulator }), store }).link(
      emulator,
      COMPANY,
    )
    await until(() => store.messages.length === 2 && undone(store).length === 0)
    expect(store.messages).toMatchObject([
      { direction: 'outbound', origin: 'phone', content: { text: 'At ten.' } },
      { direction: 'inbound', origin: 'customer', content: { text: 'Do you have time tomorrow?' } },
    ])
    expect(store.messages.map((message) => isAnswerable(message, Date.now()))).toEqual([false, false])
    expect(store.keys.has(`lid-mapping/${CUSTOMER}`)).toBe(true)
    // What comes now is answered.
    await emulator.sendText({ from: CUSTOMER, to: COMPANY, text: 'I will be there.' })
    const live = await until(() => store.messages[2])
    expect(isAnswerable(live, Date.now())).toBe(true)
    await until(async () => (await emulator.pending()) === 0)
    await connection.close()
  })

  test('is taken over by the next connection when the first one ends between its announcement and its messages', async () => {
    const phone = '491700000002'
    await emulator.sendText({ from: CUSTOMER, to: phone, text: 'from before' })
    const store = new MemorySessionStore()
    const session = new TestSession({ provider: createBaileysProvider({ emulator }), store })
    // The announcements are committed; then nobody can read them any more: the process is gone.
    const gone = new Promise<void>(() => undefined)
    store.heldReads = { kind: 'undone-history', until: gone }
    const first = await session.link(emulator, phone)
    await until(async () => undone(store).length >= 2 && (await emulator.pending()) === 0)
    expect(store.messages).toEqual([])
    await first.connection.close()
    store.heldReads = undefined

    const { connection } = await session.online()
    await until(() => store.messages.length === 1 && undone(store).length === 0)
    expect(store.messages).toMatchObject([{ isHistory: true, content: { text: 'from before' } }])
    await connection.close()
  })
})

describe('a history that has to be downloaded', () => {
  const mediaKey = Buffer.alloc(32, 7)
  const history = proto.HistorySync.encode({
    syncType: proto.HistorySync.HistorySyncType.RECENT,
    conversations: [
      {
        id: '49172@s.whatsapp.net',
        lidJid: '6@lid',
        tcToken: Buffer.from('token'),
        tcTokenTimestamp: 1700000000,
        messages: [
          { message: { key: { id: 'A', remoteJid: '49172@s.whatsapp.net' }, message: { conversation: 'x' } } },
        ],
      },
    ],
  }).finish()
  let store: MemorySessionStore
  let ratchets: RatchetStore
  let failures: unknown[]
  let asked: string[]

  beforeEach(() => {
    store = new MemorySessionStore()
    failures = []
    asked = []
    ratchets = new RatchetStore(store, (error) => failures.push(error))
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    return () => {
      vi.useRealTimers()
      vi.unstubAllGlobals()
    }
  })

  /** What WhatsApp's media server answers, one after the other; the last one for ever. */
  const serve = (...answers: (() => Promise<Response>)[]) =>
    vi.stubGlobal('fetch', (url: string) => {
      asked.push(url)
      return (answers.length > 1 ? answers.shift() : answers[0])?.()
    })
  const encrypted = async () => {
    const { cipherKey, iv, macKey } = await getMediaKeys(mediaKey, 'md-msg-hist')
    const cipher = createCipheriv('aes-256-cbc', cipherKey, iv)
    const bytes = Buffer.concat([cipher.update(deflateSync(history)), cipher.final()])
    const mac = createHmac('sha256', macKey ?? '')
      .update(iv)
      .update(bytes)
      .digest()
      .subarray(0, 10)
    return new Response(Buffer.concat([bytes, mac]))
  }
  const open = (proxy?: string, proxyLookup?: LookupFunction) =>
    new HistorySync({
      ...{ proxy, proxyLookup },
      ...{ store, ratchets },
      messageOf: async ({ key }) => ({
        ...{ id: key.id ?? '', contactId: 'c', direction: 'inbound', origin: 'customer', whatsappId: key.id ?? '' },
        ...{ ciphertextHash: null, raw: null, envelope: {}, content: { kind: 'text', text: 'x' } },
        ...{ isOffline: false, isHistory: true, sentAt: new Date() },
      }),
      onStoreFailure: (error) => failures.push(error),
    })
  const announce = (histories: HistorySync, directPath: string | null = '/v/history.enc') => {
    ratchets.publish({ keys: [undoneHistory('1', { mediaKey, directPath })] })
    histories.take('1')
  }
  const done = () => until(() => undone(store).length === 0)

  test('is taken over with all that it tells', async () => {
    serve(encrypted)
    announce(open())
    await until(() => store.messages.length === 1)
    await done()
    expect(asked).toEqual(['https://mmg.whatsapp.net/v/history.enc'])
    expect(Buffer.from(store.keys.get('lid-mapping/6_reverse') ?? '').toString()).toBe('"49172"')
    expect(await ratchets.keys.get('tctoken', ['6@lid'])).toMatchObject({
      '6@lid': { token: Buffer.from('token'), timestamp: '1700000000' },
    })
    expect(failures).toEqual([])
  })

  test.each(['http', 'socks5', 'socks5h'])(
    "is asked for through the session's %s proxy, and only if that may be reached",
    async (kind) => {
      const reached: string[] = []
      const server = createServer((socket) => {
        socket.once('data', (data) => {
          reached.push(data.toString('latin1'))
          socket.destroy()
        })
        // The other side gives up, too.
        socket.on('error', () => undefined)
      })
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const proxy = `${kind}://proxy.example:${(server.address() as AddressInfo).port}`
      const refused = open(proxy, (_host, _options, callback) => callback(new Error('not allowed'), ''))
      announce(refused)
      await until(() => vi.getTimerCount() > 0)
      refused.close()
      expect(reached).toEqual([])
      const allowed = open(proxy, (_host, { all }, callback) =>
        all ? callback(null, [{ address: '127.0.0.1', family: 4 }]) : callback(null, '127.0.0.1', 4),
      )
      await allowed.resume()
      await until(() => reached.length > 0)
      allowed.close()
      server.close()
      if (kind === 'http') expect(reached[0]).toContain('CONNECT mmg.whatsapp.net:443')
    },
  )

  test('is tried again while the server is away, by this connection and by later ones', async () => {
    serve(async () => new Response('', { status: 503 }))
    const first = open()
    announce(first)
    await until(() => asked.length === 1)
    await until(() => vi.getTimerCount() === 1)
    vi.runOnlyPendingTimers()
    await until(() => asked.length === 2)
    await until(() => vi.getTimerCount() === 1)
    first.close()
    expect(vi.getTimerCount()).toBe(0)
    expect(undone(store)).toHaveLength(1)

    serve(() => Promise.reject(new TypeError('fetch failed')), encrypted)
    const next = open()
    await next.resume()
    await until(() => vi.getTimerCount() === 1)
    vi.runOnlyPendingTimers()
    await done()
    expect(store.messages).toHaveLength(1)
  })

  test('is tried again when the server never comes to the end', async () => {
    const limit = new AbortController()
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(limit.signal)
    serve(async () => new Response(new ReadableStream({ pull: () => new Promise(() => undefined) })), encrypted)
    announce(open())
    await until(() => timeout.mock.calls.length > 0)
    limit.abort()
    await until(() => vi.getTimerCount() === 1)
    timeout.mockRestore()
    vi.runOnlyPendingTimers()
    await done()
    expect(store.messages).toHaveLength(1)
  })

  test.each([
    ['is not there any more', async () => new Response('', { status: 404 }), '/v/gone.enc'],
    ['holds nothing that makes sense', async () => new Response(Buffer.alloc(320, 1)), '/v/broken.enc'],
    ['is nowhere', encrypted, null],
  ])('is given up when it %s', async (_why, answer, directPath) => {
    serve(answer)
    announce(open(), directPath)
    await until(() => store.isCommitted(1) && undone(store).length === 0)
    expect({ messages: store.messages, failures }).toEqual({ messages: [], failures: [] })
  })
})
