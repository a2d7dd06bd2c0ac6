import { stripVTControlCharacters } from 'node:util'
import jsQR from 'jsqr'
import { PNG } from 'pngjs'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startTestApi, type TestApi } from './support/test-api.ts'

/** As long as WhatsApp's own. */
const QR = `2@${'Ab3+/'.repeat(40)},${'x'.repeat(44)},${'y'.repeat(44)},${'z'.repeat(44)}`

let api: TestApi
let company: { id: string; key: string }
let path: string

beforeAll(async () => {
  api = await startTestApi()
  company = await api.createCompany()
  const created = await api.call('POST', '/v1/sessions', { key: company.key, json: { name: ' main ' } })
  expect(created).toMatchObject({
    status: 201,
    body: { name: 'main', state: 'created', provider: 'baileys', phone: null },
  })
  path = `/v1/sessions/${created.body.id}`
  expect(created.headers.get('location')).toBe(path)
})
afterAll(() => api[Symbol.asyncDispose]())
beforeEach(() => {
  api.sessions.code = { qr: QR, expiresAt: new Date(Date.now() + 60_000).toISOString() }
})

describe('a session', () => {
  it('is listed, started and stopped', async () => {
    expect(await api.call('GET', '/v1/sessions', { key: company.key })).toMatchObject({
      body: { items: [{ name: 'main' }], next: null },
    })
    expect(await api.call('POST', `${path}/start`, { key: company.key })).toMatchObject({ body: { state: 'linking' } })
    // Some clients always name a type and send an empty object.
    expect(await api.call('POST', `${path}/stop`, { key: company.key, json: {} })).toMatchObject({
      body: { state: 'paused' },
    })
    const headers = { 'content-type': 'application/json' }
    expect(await api.call('POST', `${path}/start`, { key: company.key, headers })).toMatchObject({ status: 200 })
    expect(await api.call('GET', path, { key: company.key })).toMatchObject({ body: { state: 'linking' } })
  })

  it.each([{}, { name: '' }, { name: 'x'.repeat(101) }, { name: 1 }])('needs a name: %j', async (json) => {
    expect(await api.call('POST', '/v1/sessions', { key: company.key, json })).toMatchObject({
      status: 400,
      body: { code: 'invalid_request', errors: [{ field: 'name' }] },
    })
  })
})

describe('the QR code', () => {
  it('comes as JSON unless told otherwise', async () => {
    for (const accept of ['application/json', '*/*', 'text/html,image/avif,*/*', 'application/json, image/png']) {
      const answer = await api.call('GET', `${path}/qr`, { key: company.key, headers: { accept } })
      expect(answer.body).toEqual(api.sessions.code)
      expect(answer.headers.get('cache-control')).toBe('no-store')
    }
  })

  it.each([
    ['Accept', '', 'image/png'],
    ['query', '?format=png', '*/*'],
  ])('comes as a PNG that a reader reads, by %s', async (_name, query, accept) => {
    const response = await fetch(`${api.url}${path}/qr${query}`, {
      headers: { authorization: `Bearer ${company.key}`, accept },
    })
    expect(response.headers.get('content-type')).toBe('image/png')
    const { data, width, height } = PNG.sync.read(Buffer.from(await response.arrayBuffer()))
    expect(jsQR.default(new Uint8ClampedArray(data), width, height)?.data).toBe(QR)
  })

  it('comes as text for a terminal, and a reader reads what the terminal shows', async () => {
    for (const [query, accept] of [
      ['?format=text', '*/*'],
      ['', 'text/plain;q=0.9'],
    ] as const) {
      const answer = await api.call('GET', `${path}/qr${query}`, { key: company.key, headers: { accept } })
      expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8')
      expect(readFromTerminal(answer.text)).toBe(QR)
    }
  })

  it('is refused in a form that is not known', async () => {
    expect(await api.call('GET', `${path}/qr?format=gif`, { key: company.key })).toMatchObject({
      status: 400,
      body: { code: 'invalid_request', errors: [{ field: 'format' }] },
    })
  })

  it('is not there when the session shows none', async () => {
    api.sessions.code = undefined
    for (const format of ['json', 'png', 'text']) {
      const answer = await api.call('GET', `${path}/qr?format=${format}`, { key: company.key })
      expect(answer).toMatchObject({ status: 409, body: { code: 'session_not_linking' } })
      expect(answer.headers.get('content-type')).toBe('application/problem+json')
    }
  })
})

/** Paints the half blocks as pixels, as a terminal does, and reads the picture. */
function readFromTerminal(text: string): string | undefined {
  const SCALE = 4
  const lines = stripVTControlCharacters(text).trimEnd().split('\n')
  const halves = lines.flatMap((line) => [
    Array.from(line).map((block) => block === '█' || block === '▀'),
    Array.from(line).map((block) => block === '█' || block === '▄'),
  ])
  const width = (halves[0]?.length ?? 0) * SCALE
  const height = halves.length * SCALE
  const pixels = new Uint8ClampedArray(width * height * 4).fill(255)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (halves[Math.floor(y / SCALE)]?.[Math.floor(x / SCALE)] === true) pixels.set([0, 0, 0], (y * width + x) * 4)
    }
  }
  return jsQR.default(pixels, width, height)?.data
}
