import { stripVTControlCharacters } from 'node:util'
import jsQR from 'jsqr'
import { PNG } from 'pngjs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { showSession } from './support/shown-sessions.ts'
import { LINKING_ATTEMPTS_PER_HOUR, startTestApi, type TestApi } from './support/test-api.ts'

/** As long as WhatsApp's own. */
const QR = `2@${'Ab3+/'.repeat(40)},${'x'.repeat(44)},${'y'.repeat(44)},${'z'.repeat(44)}`

let api: TestApi
let company: { id: string; key: string }
beforeAll(async () => {
  api = await startTestApi()
})
afterAll(() => api[Symbol.asyncDispose]())

const inOneMinute = () => new Date(Date.now() + 60_000).toISOString()

/** A new company's new session. */
async function newSession(): Promise<{ id: string; path: string }> {
  company = await api.createCompany()
  const { body } = await api.call('POST', '/v1/sessions', { key: company.key, json: { name: 'main' } })
  return { id: body.id, path: `/v1/sessions/${body.id}` }
}

const link = (path: string, json: unknown) => api.call('POST', `${path}/link`, { key: company.key, json })
const code = (path: string, query = '', accept = '*/*') =>
  api.call('GET', `${path}/code${query}`, { key: company.key, headers: { accept } })
const rowOf = (id: string) =>
  api.database.database.worker.selectFrom('session').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
const commandsOf = async (id: string) =>
  (
    await api.database.database.worker
      .selectFrom('session_command')
      .select('kind')
      .where('session_id', '=', id)
      .orderBy('id')
      .execute()
  ).map(({ kind }) => kind)

describe('linking', () => {
  it('is begun by QR code, and its owner is told', async () => {
    const { id, path } = await newSession()
    const answer = await link(path, { method: 'qr' })
    expect(answer).toMatchObject({ status: 200, body: { desired: 'running', next: { action: 'connect' } } })
    expect(api.changedSessions).toContain(id)
    expect(await rowOf(id)).toMatchObject({ desired: 'running', linking_method: 'qr', linking_phone: null })
    expect(await commandsOf(id)).toEqual([])
  })

  it('is begun by pairing code for a number as people write it', async () => {
    const { id, path } = await newSession()
    expect(await link(path, { method: 'pairing_code', phone: '+49 (170) 1234-5678' })).toMatchObject({ status: 200 })
    expect(await rowOf(id)).toMatchObject({ linking_method: 'pairing_code', linking_phone: '4917012345678' })
    // The number is known from now on.
    expect(await link(path, { method: 'pairing_code' })).toMatchObject({ status: 200 })
    expect(await rowOf(id)).toMatchObject({ linking_phone: '4917012345678' })
  })

  it('is begun as the settings say when nothing is said, whatever was asked for before', async () => {
    const { id, path } = await newSession()
    for (const [json, linking_method] of [
      [{ method: 'qr', phone: '+4917012345678' }, 'qr'],
      [{}, null],
    ] as const) {
      expect(await link(path, json)).toMatchObject({ status: 200 })
      expect(await rowOf(id)).toMatchObject({ linking_method, linking_phone: '4917012345678' })
    }
  })

  it('begins anew on request: the old code is not shown any more', async () => {
    const { id, path } = await newSession()
    await link(path, { method: 'qr' })
    await showSession(api.database, id, { state: 'linking', code: { kind: 'qr', qr: QR, expiresAt: inOneMinute() } })
    expect(await code(path)).toMatchObject({ status: 200 })
    expect(await link(path, { method: 'qr' })).toMatchObject({ status: 200 })
    expect(await code(path)).toMatchObject({ status: 409, body: { code: 'session_not_linking' } })
    expect(await commandsOf(id)).toEqual(['new_code'])
  })

  it.each([
    ['no number', undefined],
    ['a national number', '0170 1234567'],
    ['too few digits', '49123'],
    ['too many digits', '4917012345678901'],
    ['letters', '+49 170 CALLME'],
    ['nothing', ''],
  ])('by pairing code is refused for %s, before anything is asked of WhatsApp', async (_name, phone) => {
    const { id, path } = await newSession()
    const answer = await link(path, { method: 'pairing_code', ...(phone !== undefined && { phone }) })
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_phone_number' } })
    expect(await rowOf(id)).toMatchObject({ desired: 'stopped', linking_method: null, linking_phone: null })
    expect(api.changedSessions).not.toContain(id)
  })

  it.each([
    [{ method: 'sms' }, 'method'],
    [{ method: 'qr', phone: 49170 }, 'phone'],
    [{ method: 'qr', number: '49170' }, 'number'],
  ])('is refused when it is not understood: %j', async (json, field) => {
    const { path } = await newSession()
    expect(await link(path, json)).toMatchObject({
      status: 400,
      body: { code: 'invalid_request', errors: [{ field }] },
    })
  })

  it.each(['online', 'reconnecting', 'paused', 'failed'] as const)('is refused when linked and %s', async (state) => {
    const { id, path } = await newSession()
    await showSession(api.database, id, { state, isLinked: true })
    expect(await link(path, { method: 'qr' })).toMatchObject({ status: 409, body: { code: 'session_already_linked' } })
    expect(await commandsOf(id)).toEqual([])
  })

  it('is limited for each company, whatever begins it, and says when it may go on', async () => {
    const { id, path } = await newSession()
    const begin = [
      () => api.call('POST', `${path}/start`, { key: company.key }),
      () => api.call('POST', `${path}/restart`, { key: company.key }),
      () => link(path, { method: 'qr' }),
    ]
    for (let attempt = 0; attempt < LINKING_ATTEMPTS_PER_HOUR; attempt++) {
      expect(await begin[Math.min(attempt, 2)]?.()).toMatchObject({ status: 200 })
    }
    const before = await rowOf(id)
    const refused = await link(path, { method: 'qr' })
    expect(refused).toMatchObject({ status: 429, body: { code: 'linking_limit_reached' } })
    const waitMs = Date.parse(String(refused.body['retryAt'])) - Date.now()
    expect(waitMs).toBeGreaterThan(3500_000)
    expect(waitMs).toBeLessThanOrEqual(3600_000)
    expect(Number(refused.headers.get('retry-after'))).toBeCloseTo(waitMs / 1000, -1)
    expect(await rowOf(id)).toEqual(before)

    // Another session of the company neither; another company does not notice.
    const second = await api.call('POST', '/v1/sessions', { key: company.key, json: { name: 'second' } })
    expect(await link(`/v1/sessions/${second.body.id}`, { method: 'qr' })).toMatchObject({ status: 429 })
    // What is linked is not linking: it may start.
    await showSession(api.database, second.body.id, { state: 'paused', isLinked: true })
    expect(await api.call('POST', `/v1/sessions/${second.body.id}/start`, { key: company.key })).toMatchObject({
      status: 200,
    })
    // An hour later.
    await api.database.database.worker
      .updateTable('linking_attempt')
      .set({ created_at: new Date(Date.now() - 3_601_000) } as never)
      .where('company_id', '=', company.id)
      .execute()
    expect(await link(path, { method: 'qr' })).toMatchObject({ status: 200 })
    await newSession()
    expect(await link(path, { method: 'qr' })).toMatchObject({ status: 404 })
  })

  it('counts each of two attempts at the same moment', async () => {
    const { path } = await newSession()
    const answers = await Promise.all(
      Array.from({ length: LINKING_ATTEMPTS_PER_HOUR + 3 }, () => link(path, { method: 'qr' })),
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(LINKING_ATTEMPTS_PER_HOUR)
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(3)
  })
})

describe('the linking code', () => {
  let path: string
  beforeAll(async () => {
    const session = await newSession()
    path = session.path
    await showSession(api.database, session.id, {
      state: 'linking',
      reason: 'qr',
      code: { kind: 'qr', qr: QR, expiresAt: inOneMinute() },
    })
  })

  it('comes as JSON unless told otherwise', async () => {
    for (const accept of ['application/json', '*/*', 'text/html,image/avif,*/*', 'application/json, image/png']) {
      const answer = await code(path, '', accept)
      expect(answer.body).toEqual({ kind: 'qr', qr: QR, expiresAt: expect.any(String) })
      expect(answer.headers.get('cache-control')).toBe('no-store')
    }
  })

  it.each([
    ['Accept', '', 'image/png'],
    ['query', '?format=png', '*/*'],
  ])('comes as a PNG that a reader reads, by %s', async (_name, query, accept) => {
    const response = await fetch(`${api.url}${path}/code${query}`, {
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
      const answer = await code(path, query, accept)
      expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8')
      expect(readFromTerminal(answer.text)).toBe(QR)
    }
  })

  it('is refused in a form that is not known', async () => {
    expect(await code(path, '?format=gif')).toMatchObject({
      status: 400,
      body: { code: 'invalid_request', errors: [{ field: 'format' }] },
    })
  })

  it('is a pairing code when one is shown, of which there is no picture', async () => {
    const { id, path } = await newSession()
    await showSession(api.database, id, {
      state: 'linking',
      reason: 'pairing_code',
      code: { kind: 'pairing_code', code: 'K7WM-3XQA', expiresAt: inOneMinute() },
    })
    expect((await code(path)).body).toMatchObject({ kind: 'pairing_code', code: 'K7WM-3XQA' })
    expect((await code(path, '?format=text')).text).toBe('K7WM-3XQA\n')
    expect(await code(path, '?format=png')).toMatchObject({ status: 409, body: { code: 'session_not_linking' } })
    expect(await api.call('GET', path, { key: company.key })).toMatchObject({
      body: { state: 'linking', next: { action: 'wait_for_entry', at: expect.any(String) } },
    })
  })

  it('is not there when the session shows none, or when it has expired', async () => {
    const { id, path } = await newSession()
    const expectNone = async () => {
      for (const format of ['json', 'png', 'text']) {
        const answer = await code(path, `?format=${format}`)
        expect(answer).toMatchObject({ status: 409, body: { code: 'session_not_linking' } })
        expect(answer.headers.get('content-type')).toBe('application/problem+json')
      }
    }
    await expectNone()
    const expiresAt = new Date(Date.now() - 1000).toISOString()
    await showSession(api.database, id, { state: 'linking', code: { kind: 'qr', qr: QR, expiresAt } })
    await expectNone()
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
