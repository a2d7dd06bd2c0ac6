import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { createOutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'
import { postDelivery } from '#src/services/webhooks/post-delivery.ts'
import { until } from '../../support/until.ts'
import { type Reply, silence, startReceiver, status } from './receiver.ts'

const never = new AbortController().signal
const KB = 1024

async function post(url: string, { allowed = ['127.0.0.1'], timeoutMs = 15_000, addresses = ['127.0.0.1'] } = {}) {
  const urlGuard = createOutgoingUrlGuard(allowed, (_host, _options, callback) =>
    callback(
      null,
      addresses.map((address) => ({ address, family: 4 })),
    ),
  )
  onTestFinished(() => urlGuard[Symbol.asyncDispose]())
  return await postDelivery({ url, body: '{}', headers: {}, urlGuard, signal: never, timeoutMs })
}

test.each([
  'http://127.0.0.1/',
  'http://10.1.2.3/',
  'http://169.254.169.254/latest',
  'http://[::1]/',
  'http://0x7f.1/',
])('a private address is refused: %s', async (url) => {
  expect(await post(url, { allowed: [] })).toMatchObject({ status: null, code: 'url_not_allowed' })
})

test.each([[['127.0.0.1']], [['93.184.215.14', '127.0.0.1']], [['127.0.0.1', '93.184.215.14']]])(
  'a host that leads into a private network is refused, also when only one of its addresses does: %s',
  async (addresses) => {
    await using receiver = await startReceiver()
    const url = receiver.url.replace('127.0.0.1', 'salon.example')
    expect(await post(url, { allowed: [], addresses })).toMatchObject({ status: null, code: 'url_not_allowed' })
    expect(receiver.received).toEqual([])
  },
)

test('a redirect into a private network is not followed', async () => {
  await using inside = await startReceiver()
  await using outside = await startReceiver(status(307, { location: inside.url }))
  const url = outside.url.replace('127.0.0.1', 'salon.example')
  expect(await post(url, { allowed: ['salon.example'] })).toMatchObject({ status: 307, code: 'webhook_failed' })
  expect(inside.received).toEqual([])
})

test('an endless answer is cut; its first KB is kept', async () => {
  let sentBytes = 0
  const endless: Reply = (response) => {
    const chunk = Buffer.alloc(64 * KB, 'x')
    const send = () => {
      while (!response.destroyed) {
        sentBytes += chunk.length
        if (!response.write(chunk)) return void response.once('drain', send)
      }
    }
    response.writeHead(200, { 'content-length': String(KB ** 3) })
    send()
  }
  await using receiver = await startReceiver(endless)
  expect(await post(receiver.url)).toEqual({ status: 200, code: null, answer: 'x'.repeat(KB), retryAfterMs: undefined })
  await until(() => receiver.underWay === 0)
  expect(sentBytes).toBeLessThan(100 * KB * KB)
})

test('an answer that stops in its body counts by its status', async () => {
  await using receiver = await startReceiver((response) => response.writeHead(200).write('begun'))
  expect(await post(receiver.url)).toMatchObject({ status: 200, code: null, answer: 'begun' })
})

test('an answer is kept without what could not be stored or shown', async () => {
  await using receiver = await startReceiver(status(500, {}, 'a\u0000b\u202Ec'))
  expect(await post(receiver.url)).toMatchObject({ answer: 'abc' })
})

test('silence ends with the time', async () => {
  await using receiver = await startReceiver(silence)
  expect(await post(receiver.url, { timeoutMs: 50 })).toMatchObject({ status: null, code: 'webhook_timed_out' })
})

test('nobody there', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  expect(await post(`http://127.0.0.1:${port}/`)).toMatchObject({ status: null, code: 'webhook_unreachable' })
})

test.each([
  ['120', 120_000],
  ['soon', undefined],
  [new Date(0).toUTCString(), 0],
  ['-5', 0],
  ['9'.repeat(12), 999_999_999_999_000],
])('Retry-After: %s', async (header, expected) => {
  await using receiver = await startReceiver(status(503, { 'retry-after': header }))
  expect((await post(receiver.url)).retryAfterMs).toBe(expected)
})

test('Retry-After: a moment', async () => {
  await using receiver = await startReceiver(status(503, { 'retry-after': 'Fri, 31 Dec 9999 23:59:59 GMT' }))
  const before = Date.now()
  const { retryAfterMs = 0 } = await post(receiver.url)
  const moment = Date.UTC(9999, 11, 31, 23, 59, 59)
  expect(retryAfterMs).toBeLessThanOrEqual(moment - before)
  expect(retryAfterMs).toBeGreaterThanOrEqual(moment - Date.now())
})
