import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import {
  companySettings,
  createApiKey,
  createCompany,
  createSession,
  createWebhookEndpoint,
  replayDeliveries,
  responderAnswer,
  rotateWebhookSecret,
  sendMessage,
  updateCompany,
  updateWebhookEndpoint,
} from '@frontdesk/api-contract'
import { Validator } from '@seriousme/openapi-schema-validator'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createLog } from '#src/log.ts'
import { createHttpServer } from '#src/transport/http/http-server.ts'
import { openApiDocument } from '#src/transport/http/openapi-document.ts'
import type { HttpServices } from '#src/transport/http/services.ts'
import { startTestApi, type TestApi } from './support/test-api.ts'

let api: TestApi
beforeAll(async () => {
  api = await startTestApi()
})
afterAll(() => api[Symbol.asyncDispose]())

interface Operation {
  operationId: string
  summary: string
  security?: unknown[]
  responses: Record<string, { description: string }>
}

describe('the OpenAPI document', () => {
  it('is valid', async () => {
    const { body } = await api.call('GET', '/openapi.json')
    expect(body['openapi']).toBe('3.1.0')
    expect(await new Validator().validate(body)).toEqual({ valid: true })
  })

  it('is the one that is committed: after a change, `npm run openapi`', async () => {
    const { body } = await api.call('GET', '/openapi.json')
    const file = fileURLToPath(import.meta.resolve('@frontdesk/api-contract/openapi.json'))
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(body)
    expect(await openApiDocument()).toEqual(body)
  })

  it('describes every operation: what it does, whose key it takes, what it answers', async () => {
    const { body } = await api.call('GET', '/openapi.json')
    const paths = body['paths'] as Record<string, Record<string, Operation>>
    const operations = Object.entries(paths).flatMap(([path, byMethod]) =>
      Object.values(byMethod).map((operation) => ({ path, ...operation })),
    )
    expect(operations.length).toBeGreaterThan(15)
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length)
    for (const { path, summary, security, responses } of operations) {
      expect(summary, path).toBeTruthy()
      expect(security !== undefined, path).toBe(path.startsWith('/v1/'))
      for (const { description } of Object.values(responses)) expect(description, path).not.toBe('Default Response')
    }
  })

  it('gives examples that are accepted', async () => {
    const { body } = await api.call('GET', '/openapi.json')
    const { schemas } = body['components'] as { schemas: Record<string, { examples?: unknown[] }> }
    const requests = {
      CompanySettings: companySettings,
      CreateApiKey: createApiKey,
      CreateCompany: createCompany,
      CreateSession: createSession,
      CreateWebhookEndpoint: createWebhookEndpoint,
      ReplayDeliveries: replayDeliveries,
      ResponderAnswer: responderAnswer,
      RotateWebhookSecret: rotateWebhookSecret,
      SendMessage: sendMessage,
      UpdateCompany: updateCompany,
      UpdateWebhookEndpoint: updateWebhookEndpoint,
    }
    for (const [name, schema] of Object.entries(requests)) {
      const examples = schemas[name]?.examples ?? []
      expect(examples.length, name).toBeGreaterThan(0)
      for (const example of examples) expect(schema.safeParse(example).error, name).toBeUndefined()
    }
  })
})

describe('the pages', () => {
  it('work without the internet: all that they load is here', async () => {
    for (const page of ['/', '/docs', '/docs/']) {
      const { status, text, headers } = await api.call('GET', page)
      if (status === 302) continue
      expect(status, page).toBe(200)
      expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
      const loaded = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url]) => url ?? '')
      expect(loaded.length, page).toBeGreaterThan(2)
      for (const url of loaded) {
        expect(url, page).toMatch(/^(\/|\.\/|#)/)
        const target = new URL(url, `${api.url}${page}`)
        if (target.pathname === '/ready') continue
        expect((await fetch(target)).status, url).toBeLessThan(400)
      }
    }
  })

  it('say at the root what this is and where to go', async () => {
    const { text } = await api.call('GET', '/')
    for (const link of ['/docs', '/openapi.json', '/health', '/ready']) expect(text).toContain(`href="${link}"`)
  })
})

describe('health', () => {
  it('is told without a key: alive, and ready while all parts work', async () => {
    expect(await api.call('GET', '/health')).toMatchObject({ status: 200, body: { status: 'ok' } })
    expect(await api.call('GET', '/ready')).toMatchObject({ status: 200, body: { status: 'ready' } })
    api.health['writer'] = false
    const answer = await api.call('GET', '/ready')
    expect(answer).toMatchObject({
      status: 503,
      body: { code: 'unavailable', detail: expect.stringContaining('writer') },
    })
    expect(answer.headers.get('retry-after')).toBe('1')
    api.health['writer'] = true
    expect(await api.call('GET', '/health')).toMatchObject({ status: 200 })
  })
})

describe('every answer', () => {
  it('forbids browsers to guess, frame or keep it', async () => {
    const { key } = await api.createCompany()
    for (const path of ['/v1/company', '/v1/nothing', '/health']) {
      const { headers } = await api.call('GET', path, { key })
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('x-frame-options')).toBe('DENY')
      expect(headers.get('referrer-policy')).toBe('no-referrer')
      expect(headers.get('content-security-policy')).toContain("default-src 'none'")
      expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
      expect(headers.get('server')).toBeNull()
    }
    expect((await api.call('GET', '/v1/company', { key })).headers.get('cache-control')).toBe('no-store')
  })

  it('leaves a line in the log that holds neither key, body nor number', async () => {
    const { id, key } = await api.createCompany()
    const sessionId = await api.database.createSession(id)
    const json = { sessionId, to: '4917087654321', content: { kind: 'text', text: 'confidential words' } }
    await api.call('POST', '/v1/messages', { key, json })
    const log = api.log.join('')
    expect(log).toContain('"route":"/v1/messages"')
    for (const secret of [key, 'confidential', '4917087654321']) expect(log).not.toContain(secret)
  })
})

describe('closing', () => {
  it('ends although a connection was opened that nothing is sent over', async () => {
    const server = createHttpServer({ apiKeys: {} } as HttpServices, {
      log: createLog({ level: 'silent' }),
      maxBodyBytes: 1024,
      closeGraceMs: 10,
    })
    const url = await server.listen({ host: '127.0.0.1', port: 0 })
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    await once(socket, 'connect')
    const closed = once(socket, 'close')
    await server.close()
    await closed
  })
})
