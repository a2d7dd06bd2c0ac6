import { request } from 'node:http'
import { expect, test } from 'vitest'
import { connectEmulator, type Emulator, startEmulator } from '../src/index.ts'
import { BaileysClient, linkBaileys } from './support/baileys-client.ts'
import { ANNA, SALON } from './support/numbers.ts'
import { until } from './support/until.ts'

test('a method that does not exist is not found', async () => {
  await using emulator = await startEmulator()

  expect(await call(emulator, 'explode')).toEqual({ status: 404, error: 'The emulator has no method "explode".' })
  expect((await call(emulator, 'constructor')).status).toBe(404)
})

test.each([
  ['sendText', '{', 'The body is not valid JSON.'],
  ['sendText', '[]', 'The argument is not valid.'],
  ['sendText', '{}', 'text: Invalid input: expected string'],
  ['sendText', `{"from":"${ANNA}","to":"${SALON}","text":"hi","colour":"red"}`, 'Unrecognized key: "colour"'],
  ['sendText', `{"from":"+49","to":"${SALON}","text":"hi"}`, 'from: must be 7 to 15 digits'],
  ['sendText', `{"from":"${ANNA}","to":"${SALON}","text":""}`, 'text: Too small'],
  ['chats', '{"phone":"1"}', 'expected string'],
  ['phones', '{"all":true}', 'Unrecognized key: "all"'],
  ['fault', '{"kind":"earthquake"}', 'kind: Invalid'],
  ['fault', '{"kind":"stream_error","code":"999"}', 'code: Invalid option'],
  ['fault', '{"kind":"delay_acks","count":1}', 'delayMs'],
  ['fault', '{"kind":"refuse_logins","isOn":true}', 'reason: Invalid option'],
  ['fault', '{"kind":"refuse_logins","isOn":true,"reason":"200"}', 'reason: Invalid option'],
  ['fault', '{"kind":"refuse_linking","isOn":true}', 'phone: Invalid input'],
  ['fault', '{"kind":"refuse_messages","count":1,"error":"500"}', 'error: Invalid option'],
  ['configure', '{"receipts":"maybe"}', 'receipts: Invalid option'],
  ['configure', '{"qrValidityMs":{"first":0,"later":1}}', 'qrValidityMs.first'],
  ['enterPairingCode', `{"phone":"${SALON}","code":"ABCD"}`, 'eight letters and digits'],
  ['enterPairingCode', `{"phone":"${SALON}","code":"ABCD-EFGH"}`, 'No companion waits'],
  ['provision', '[{"phone":"491700000001"}]', '0.noiseKey: Invalid input'],
  ['scanQr', `{"phone":"${SALON}","qr":"hello"}`, 'This is no QR code of WhatsApp'],
  ['scanQr', `{"phone":"${SALON}","qr":"2@x,YQ==,YQ==,YQ==,1"}`, 'unknown or has expired'],
  ['unlink', `{"phone":"${SALON}","deviceId":3}`, 'no linked device 3'],
  ['prepareBurst', `{"to":["${SALON}"],"customers":1,"each":1}`, 'No companion is linked'],
])('%s with %s is refused with a sentence', async (method, body, sentence) => {
  await using emulator = await startEmulator()

  const { status, error } = await call(emulator, method, body)

  expect(status).toBe(400)
  expect(error).toContain(sentence)
})

test('keys of the wrong length are refused', async () => {
  await using emulator = await startEmulator()
  const key = Buffer.alloc(32).toString('base64')
  const signedPreKey = { id: 1, key, signature: Buffer.alloc(64).toString('base64') }
  const companion = { phone: SALON, noiseKey: key, identityKey: 'YQ==', registrationId: 1, signedPreKey }

  const refusal = connectEmulator(emulator.pageUrl).provision([companion])

  await expect(refusal).rejects.toThrow('identityKey must be 32 bytes as base64.')
})

test('what was counted can be asked for from elsewhere', async () => {
  await using emulator = await startEmulator()
  using _salon = await linkBaileys(emulator, SALON)
  const control = connectEmulator(emulator.pageUrl)

  await control.resetStats()

  expect(await control.companionStats({ phone: ANNA })).toEqual([])
  const [stats] = await control.companionStats()
  expect(stats).toMatchObject({ phone: SALON, logins: 0, disconnectedMs: 0, refusedMs: 0 })
  expect(stats?.connectedMs).toBeGreaterThan(0)
})

test('only POST calls a method, only GET reads the page', async () => {
  await using emulator = await startEmulator()

  expect((await fetch(new URL('/control/info', emulator.pageUrl))).status).toBe(405)
  expect((await fetch(emulator.pageUrl, { method: 'DELETE' })).status).toBe(405)
})

test('a body over the limit is refused', async () => {
  await using emulator = await startEmulator()

  const { status, error } = await call(emulator, 'sendText', 'x'.repeat(33 * 1024 * 1024))

  expect({ status, error }).toEqual({ status: 413, error: 'The body is over 33554432 bytes.' })
})

test('nobody but this machine is answered: no other host name, no page of another site', async () => {
  await using emulator = await startEmulator()

  expect(await statusFor(emulator, { host: 'emulator.example' })).toBe(403)
  expect(await statusFor(emulator, { origin: 'https://evil.example' })).toBe(403)
  expect(await statusFor(emulator, { origin: new URL(emulator.pageUrl).origin })).toBe(200)
  const { port } = new URL(emulator.pageUrl)
  expect(await statusFor(emulator, { host: `localhost:${port}` })).toBe(200)
  expect(await statusFor(emulator, { host: `[::1]:${port}` })).toBe(200)
})

test('a WebSocket under another host name is refused', async () => {
  await using emulator = await startEmulator()
  using client = new BaileysClient(emulator, undefined, { options: { headers: { host: 'emulator.example' } } })

  expect(await client.closed()).toBe(408)
})

test('changes are told as they happen', async () => {
  await using emulator = await startEmulator()
  const changes = await followChanges(emulator)
  expect(await changes.next()).toBe('event: changed\ndata: {}\n\n')

  await emulator.sendText({ from: ANNA, to: SALON, text: 'one' })
  await emulator.sendText({ from: ANNA, to: SALON, text: 'two' })
  expect(await changes.next()).toBe('event: changed\ndata: {}\n\n')

  using client = new BaileysClient(emulator)
  await client.qr()
  expect(await changes.next()).toBe('event: changed\ndata: {}\n\n')
  await changes.stop()
})

test('the page is served without its types, and nothing else of the disk', async () => {
  await using emulator = await startEmulator()
  const page = await fetch(emulator.pageUrl)
  expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
  expect(page.headers.get('content-security-policy')).toContain("default-src 'self'")
  expect(await page.text()).toContain('<script type="module"')

  const script = await fetch(new URL('/main.ts', emulator.pageUrl))
  expect(script.headers.get('content-type')).toBe('text/javascript; charset=utf-8')
  expect(await script.text()).not.toContain('import type')
  for (const path of ['/nothing.html', '/../emulator.ts', '/%2e%2e/emulator.ts', '/tsconfig.json', '/control'])
    expect((await fetch(new URL(path, emulator.pageUrl))).status).toBe(404)
})

test('the wire book continues where the last reading ended', async () => {
  await using emulator = await startEmulator()
  using _salon = await linkBaileys(emulator, SALON)
  await until('all was quiet', async () => (await emulator.pending()) === 0)

  const first = await emulator.wire({ limit: 5 })
  const rest = await emulator.wire({ after: 5 })

  expect([...first, ...rest].map(({ number }) => number)).toEqual((await emulator.wire()).map(({ number }) => number))
  expect(rest[0]?.number).toBe(6)
})

async function call(emulator: Emulator, method: string, body = '') {
  const response = await fetch(new URL(`/control/${method}`, emulator.pageUrl), { method: 'POST', body })
  const answer = (await response.json()) as { error: string }
  return { status: response.status, error: answer.error }
}

/** `fetch` sets these headers itself, so this asks without it. */
async function statusFor(emulator: Emulator, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request(new URL('/control/info', emulator.pageUrl), { method: 'POST', headers }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    asked.on('error', reject)
    asked.end()
  })
}

async function followChanges(emulator: Emulator) {
  const { body } = await fetch(new URL('/control/changes', emulator.pageUrl))
  if (!body) throw new Error('The stream of changes is empty')
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  return {
    next: async () => (await reader.read()).value,
    stop: () => reader.cancel(),
  }
}
