import { once } from 'node:events'
import { connect } from 'node:net'
import { problem } from '@frontdesk/api-contract'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ERRORS, type ErrorCode } from '#src/model/errors.ts'
import { newId } from '#src/model/ids.ts'
import { type Answer, startTestApi, type TestApi } from './support/test-api.ts'

let api: TestApi
let company: { id: string; key: string }
let sessionId: string

beforeAll(async () => {
  api = await startTestApi()
  company = await api.createCompany()
  sessionId = await api.database.createSession(company.id, 'main')
})
afterAll(() => api[Symbol.asyncDispose]())

/** It is the catalogue's problem in full form, and says where the log has it. */
function expectProblem(answer: Answer, code: ErrorCode): void {
  expect(answer.headers.get('content-type')).toBe('application/problem+json')
  const parsed = problem.parse(answer.body)
  expect(parsed).toMatchObject({
    code,
    status: ERRORS[code].status,
    stage: ERRORS[code].stage,
    title: ERRORS[code].title,
  })
  expect(answer.status).toBe(ERRORS[code].status)
  expect(parsed.instance).toMatch(/^urn:uuid:[0-9a-f-]{36}$/)
}

const fieldsOf = (answer: Answer) => problem.parse(answer.body).errors?.map(({ field }) => field)

const validMessage = () => ({ sessionId, to: '4917012345678', content: { kind: 'text', text: 'Hello' } })
const json = { 'content-type': 'application/json' }

describe('a body that cannot be read', () => {
  it.each([
    ['cut off', '{"sessionId": "'],
    ['no JSON at all', 'hello'],
    ['a prototype in it', '{"__proto__": {"isAdmin": true}}'],
    ['a constructor in it', '{"constructor": {"prototype": {}}}'],
  ])('is refused: %s', async (_name, body) => {
    expectProblem(await api.call('POST', '/v1/messages', { key: company.key, body, headers: json }), 'invalid_json')
  })

  it('is refused when it is not UTF-8', async () => {
    const body = Buffer.from('{"name": "Caf\xe9"}', 'latin1')
    const answer = await api.call('PATCH', '/v1/company', { key: company.key, body, headers: json })
    expectProblem(answer, 'invalid_json')
    expect(answer.body['detail']).toContain('UTF-8')
  })

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'application/xml'])('is refused as %s', async (type) => {
    const call = { key: company.key, body: 'a=b', headers: { 'content-type': type } }
    expectProblem(await api.call('POST', '/v1/messages', call), 'unsupported_media_type')
  })

  it('is refused over the limit, whether its length is announced or not', async () => {
    const body = JSON.stringify({ ...validMessage(), padding: 'x'.repeat(600_000) })
    expectProblem(await api.call('POST', '/v1/messages', { key: company.key, body, headers: json }), 'body_too_large')

    const chunked = await fetch(`${api.url}/v1/messages`, {
      method: 'POST',
      headers: { ...json, authorization: `Bearer ${company.key}` },
      body: new Blob([body]).stream(),
      duplex: 'half',
    })
    expect(chunked.status).toBe(413)
    expect(await chunked.json()).toMatchObject({ code: 'body_too_large' })
  })

  it('is never read from a stranger', async () => {
    const call = { key: `fd_company_${'x'.repeat(43)}`, body: 'x'.repeat(600_000), headers: json }
    expectProblem(await api.call('POST', '/v1/messages', call), 'api_key_invalid')
  })
})

describe('a field that is wrong', () => {
  it.each([
    ['at the top', { ...validMessage(), colour: 'red' }, 'colour'],
    ['inside of another', { ...validMessage(), content: { kind: 'text', text: 'x', bold: true } }, 'content.bold'],
    ['twice', { ...validMessage(), sessionId: undefined, size: 1 }, 'size'],
  ])('is named when it is not known: %s', async (_name, body, field) => {
    const answer = await api.call('POST', '/v1/messages', { key: company.key, json: { ...body, sessionId } })
    expectProblem(answer, 'invalid_request')
    expect(fieldsOf(answer)).toEqual([field])
  })

  it('is named when it stands in the query', async () => {
    const answer = await api.call('GET', '/v1/messages?limit=many&colour=red', { key: company.key })
    expectProblem(answer, 'invalid_request')
    expect(fieldsOf(answer)).toEqual(['limit', 'colour'])
  })

  it('is named when it is sent to an address that takes no body', async () => {
    const answer = await api.call('POST', `/v1/sessions/${sessionId}/start`, { key: company.key, json: { now: true } })
    expectProblem(answer, 'invalid_request')
    expect(fieldsOf(answer)).toEqual(['now'])
  })

  it('is named when it is missing or of another type, and its value is not repeated', async () => {
    const answer = await api.call('POST', '/v1/messages', {
      key: company.key,
      json: { sessionId: 'my secret', content: { kind: 'text', text: 4711 } },
    })
    expectProblem(answer, 'invalid_request')
    expect(fieldsOf(answer)).toEqual(['sessionId', 'to', 'content.text'])
    expect(answer.text).not.toContain('my secret')
  })

  it('is refused when nothing is sent at all', async () => {
    expectProblem(await api.call('POST', '/v1/messages', { key: company.key, headers: json }), 'invalid_request')
    expectProblem(await api.call('POST', '/v1/messages', { key: company.key, json: [] }), 'invalid_request')
    expectProblem(await api.call('POST', '/v1/messages', { key: company.key, json: null }), 'invalid_request')
  })
})

describe('characters that cannot be stored', () => {
  it.each([
    ['NUL', 'a\0b'],
    ['half of a surrogate pair', 'a\ud83d'],
  ])('are refused wherever they stand: %s', async (_name, text) => {
    const inText = await api.call('POST', '/v1/messages', {
      key: company.key,
      json: { ...validMessage(), content: { kind: 'text', text } },
    })
    expectProblem(inText, 'invalid_request')
    expect(fieldsOf(inText)).toEqual(['content.text'])

    expectProblem(await api.call('POST', '/v1/sessions', { key: company.key, json: { name: text } }), 'invalid_request')
    const inName = { key: company.key, json: { settings: { [text]: 1 } } }
    expectProblem(await api.call('PATCH', '/v1/company', inName), 'invalid_request')
    const inList = { responders: [{ kind: 'rules', keywords: [{ any: [`word ${text}`], answer: 'x' }] }] }
    const answer = await api.call('PATCH', '/v1/company', { key: company.key, json: { settings: inList } })
    expect(fieldsOf(answer)).toEqual(['settings.responders.0.keywords.0.any.0'])
  })

  it('are refused in a query, and name nothing in a path', async () => {
    expectProblem(await api.call('GET', '/v1/events?after=%00', { key: company.key }), 'invalid_request')
    expectProblem(await api.call('GET', '/v1/sessions/%00', { key: company.key }), 'not_found')
  })
})

it('a pattern that cannot be searched for safely is refused when it is saved, with its field', async () => {
  for (const pattern of ['(a', '(?=a)b', '(a)\\1', '\\w{900}']) {
    const settings = { responders: [{ kind: 'rules', patterns: [{ pattern, answer: 'x' }] }] }
    const answer = await api.call('PATCH', '/v1/company', { key: company.key, json: { settings } })
    expectProblem(answer, 'invalid_request')
    expect(fieldsOf(answer)).toEqual(['settings.responders.0.patterns.0.pattern'])
  }
})

describe('an address that does not exist', () => {
  it.each([
    '/v1/nothing',
    '/nothing',
    '/v1/sessions/not-an-id',
    '/v1/%zz',
    '/docs/static/nothing.js',
    `/v1/${'x'.repeat(300)}`,
  ])('is not found: %s', async (path) => expectProblem(await api.call('GET', path, { key: company.key }), 'not_found'))

  it('is told from one that takes other methods', async () => {
    const answer = await api.call('PUT', '/v1/messages', { key: company.key, json: {} })
    expectProblem(answer, 'method_not_allowed')
    expect(answer.headers.get('allow')?.split(', ').sort()).toEqual(['GET', 'HEAD', 'POST'])
  })
})

describe('what is not HTTP', () => {
  const raw = async (text: string): Promise<string> => {
    const socket = connect(Number(new URL(api.url).port), '127.0.0.1')
    await once(socket, 'connect')
    socket.end(text)
    let answer = ''
    for await (const chunk of socket) answer += String(chunk)
    return answer
  }

  it('is answered as a problem too', async () => {
    const answer = await raw('hello\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(problem.parse(JSON.parse(answer.split('\r\n\r\n')[1] ?? ''))).toMatchObject({ code: 'invalid_http' })
  })

  it('is refused when its headers are too large', async () => {
    const answer = await raw(`GET / HTTP/1.1\r\nHost: x\r\nCookie: ${'x'.repeat(20_000)}\r\n\r\n`)
    expect(answer).toMatch(/^HTTP\/1\.1 431 /)
    expect(problem.parse(JSON.parse(answer.split('\r\n\r\n')[1] ?? ''))).toMatchObject({ code: 'headers_too_large' })
  })
})

describe('a fault inside', () => {
  it('is answered with an id that the log has, and with nothing of its text', async () => {
    const secret = `at the database of 4917012345678 ${newId()}`
    api.sessions.list = () => Promise.reject(new Error(secret))
    const answer = await api.call('GET', '/v1/sessions', { key: company.key })
    expectProblem(answer, 'internal')
    expect(answer.text).not.toContain('database')
    const id = answer.body.instance.slice('urn:uuid:'.length)
    const entry = api.log.find((line) => line.includes(id) && line.includes('"level":"error"'))
    expect(entry).toContain('at the database of')
    expect(entry).not.toContain('4917012345678')
  })

  it.each([
    ['refuses connections', Object.assign(new Error('connect ECONNREFUSED /run/secret'), { code: 'ECONNREFUSED' })],
    ['has no socket', Object.assign(new Error('connect ENOENT /run/secret/.s.PGSQL.5432'), { code: 'ENOENT' })],
    ['shuts down', Object.assign(new Error('terminating connection'), { code: '57P01' })],
    ['went away', new Error('Connection terminated unexpectedly')],
  ])('is told from a database that is away for now and %s', async (_name, error) => {
    api.sessions.list = () => Promise.reject(error)
    const answer = await api.call('GET', '/v1/sessions', { key: company.key })
    expectProblem(answer, 'unavailable')
    expect(answer.headers.get('retry-after')).toBe('1')
    expect(answer.text).not.toContain(error.message)
  })
})
