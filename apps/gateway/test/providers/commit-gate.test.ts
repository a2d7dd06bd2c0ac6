import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Emulator, startEmulator } from 'whatsapp-emulator'
import { WebSocket, WebSocketServer } from 'ws'
import { StoreError } from '#src/model/store-error.ts'
import { CommitGate, MAX_HELD_FRAMES } from '#src/providers/baileys/commit-gate.ts'
import { createBaileysProvider } from '#src/providers/baileys/create-baileys-provider.ts'
import { until } from '../support/until.ts'
import { MemorySessionStore } from './support/memory-session-store.ts'
import { type OpenSession, sendText, TestSession } from './support/test-session.ts'

const COMPANY = '491700000001'
const CUSTOMER = '491719990001'
let emulator: Emulator
let store: MemorySessionStore
let open: OpenSession

beforeAll(async () => {
  emulator = await startEmulator({ behaviour: { sendsHistory: false } })
  store = new MemorySessionStore()
  open = await new TestSession({ provider: createBaileysProvider({ emulator }), store }).link(emulator, COMPANY)
  await emulator.sendText({ from: CUSTOMER, to: COMPANY, text: 'hello' })
  await until(() => store.messages[0])
  await sendText(open, { phone: CUSTOMER }, 'hello to you')
  await until(async () => (await emulator.pending()) === 0)
})
afterAll(async () => {
  await open.connection.close()
  await emulator.close()
})

/** What the companion has put on the wire since the entry of this number. */
const framesSince = async (after: number) =>
  (await emulator.wire({ after })).filter(({ direction }) => direction === 'from_companion')
const lastFrame = async () => (await emulator.wire()).at(-1)?.number ?? 0
/** What the session would do without the gate happens within these turns of the event loop. */
async function goOn(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe('no frame leaves before what it depends on is committed', () => {
  test('an inbound message is not acknowledged before it is committed', async () => {
    const after = await lastFrame()
    store.isHeld = true
    const { published } = store
    const { id } = await emulator.sendText({ from: CUSTOMER, to: COMPANY, text: 'first commit, then receipt' })
    await until(() => store.published > published)
    await goOn()
    expect(await framesSince(after)).toEqual([])
    expect(await emulator.pending()).toBe(1)

    store.isHeld = false
    store.commit()
    await until(async () => (await emulator.pending()) === 0)
    expect(store.messages.at(-1)).toMatchObject({ whatsappId: id })
  })

  test('an outbound message does not leave before its ratchet step is committed', async () => {
    const after = await lastFrame()
    store.isHeld = true
    const { published } = store
    const sending = sendText(open, { phone: CUSTOMER }, 'first commit, then send')
    await until(() => store.published > published)
    await goOn()
    expect(await framesSince(after)).toEqual([])

    store.isHeld = false
    store.commit()
    await sending
    expect((await framesSince(after)).map(({ tag }) => tag)).toContain('message')
  })

  test('a receipt is not acknowledged before the status that it brings is committed', async () => {
    await emulator.configure({ receipts: 'none' })
    const id = await sendText(open, { phone: CUSTOMER }, 'read me')
    const after = await lastFrame()
    store.isHeld = true
    const { published } = store
    await emulator.markRead({ phone: CUSTOMER, from: COMPANY })
    await until(() => store.published > published)
    await goOn()
    expect(await framesSince(after)).toEqual([])
    store.isHeld = false
    store.commit()
    await until(() => store.receipts.some(({ whatsappIds, status }) => whatsappIds.includes(id) && status === 'read'))
  })

  test('the socket is not read while too many frames wait, and no frame is lost or overtaken', async () => {
    await using server = new LocalServer()
    const socket = await server.connect()
    const held = new MemorySessionStore()
    const gate = new CommitGate(socket, held, () => undefined)
    held.isHeld = true
    for (let frame = 0; frame <= MAX_HELD_FRAMES; frame++) {
      held.publish({})
      socket.send(Buffer.from(String(frame)))
    }
    expect({ isPaused: socket.isPaused, held: gate.heldFrames }).toEqual({ isPaused: true, held: MAX_HELD_FRAMES + 1 })
    held.isHeld = false
    held.commit()
    socket.send(Buffer.from('last'))
    await until(() => server.received.at(-1) === 'last')
    expect(socket.isPaused).toBe(false)
    expect(server.received).toEqual([
      ...Array.from({ length: MAX_HELD_FRAMES + 1 }, (_, frame) => String(frame)),
      'last',
    ])
  })

  test('after a failed commit nothing leaves any more', async () => {
    await using server = new LocalServer()
    const socket = await server.connect()
    const failing = new MemorySessionStore()
    const failures: unknown[] = []
    new CommitGate(socket, failing, (error) => failures.push(error))
    failing.isHeld = true
    failing.publish({})
    socket.send(Buffer.from('depends on the commit'))
    const failure = new StoreError('store_failed', 'The test ended it.')
    failing.fail(failure)
    await until(() => failures[0])
    socket.send(Buffer.from('after the failure'))
    const closed = once(socket, 'close')
    socket.close()
    await closed
    expect(failures).toEqual([failure])
    expect(server.received).toEqual([])
  })
})

/** A WebSocket server that keeps what it is sent. */
class LocalServer implements AsyncDisposable {
  readonly received: string[] = []
  readonly #server = new WebSocketServer({ port: 0, host: '127.0.0.1' })

  constructor() {
    this.#server.on('connection', (socket) =>
      socket.on('message', (data: Buffer) => this.received.push(data.toString())),
    )
  }

  async connect(): Promise<WebSocket> {
    if (!this.#server.address()) await once(this.#server, 'listening')
    const { port } = this.#server.address() as AddressInfo
    const socket = new WebSocket(`ws://127.0.0.1:${port}`)
    await once(socket, 'open')
    return socket
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#server.clients) client.terminate()
    this.#server.close()
    await once(this.#server, 'close')
  }
}
