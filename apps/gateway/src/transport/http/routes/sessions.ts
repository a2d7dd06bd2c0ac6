import { createSession, linkingCode, list, resourceId, session } from '@frontdesk/api-contract'
import { z } from 'zod'
import { actorOf, companyOf } from '../authentication.ts'
import { ACCESS_PROBLEMS, answer, BODY_PROBLEMS, problems } from '../documented-responses.ts'
import type { HttpServer } from '../http-server.ts'
import { qrAsPng, qrAsText } from '../qr-code.ts'
import type { HttpServices } from '../services.ts'

const tags = ['Sessions']
const config = { access: 'company' } as const
const params = z.strictObject({ sessionId: resourceId })

const qrQuery = z.strictObject({
  format: z
    .enum(['json', 'png', 'text'])
    .optional()
    .describe('`json` (the default), `png`, or `text` for a terminal. The Accept header can say it as well.'),
})

const FORMAT_OF_TYPE = { 'image/png': 'png', 'text/plain': 'text' } as const

/** The format that the first known media type of an Accept header asks for. */
function formatOf(accept = ''): 'json' | 'png' | 'text' {
  const wanted = accept.split(',').map((each) => each.split(';')[0]?.trim().toLowerCase())
  const first = wanted.find((type) => type === 'application/json' || type === 'image/png' || type === 'text/plain')
  return first === 'image/png' || first === 'text/plain' ? FORMAT_OF_TYPE[first] : 'json'
}

/** Linked numbers: creating, starting, linking, stopping. */
export function sessionRoutes(server: HttpServer, { sessions }: HttpServices): void {
  server.post(
    '/v1/sessions',
    {
      config,
      schema: {
        tags,
        operationId: 'createSession',
        summary: 'Create a session',
        description: 'Then start it and scan its QR code.',
        body: createSession,
        response: {
          201: answer('The new session.', session),
          ...problems(...ACCESS_PROBLEMS, ...BODY_PROBLEMS, 'session_name_taken'),
        },
      },
    },
    async (request, reply) => {
      const created = await sessions.create(companyOf(request), request.body, actorOf(request))
      return reply.code(201).header('location', `/v1/sessions/${created.id}`).send(created)
    },
  )

  server.get(
    '/v1/sessions',
    {
      config,
      schema: {
        tags,
        operationId: 'listSessions',
        summary: 'List the sessions',
        response: { 200: answer('The sessions, oldest first.', list(session)), ...problems(...ACCESS_PROBLEMS) },
      },
    },
    async (request) => ({ items: await sessions.list(companyOf(request)), next: null }),
  )

  server.get(
    '/v1/sessions/:sessionId',
    {
      config,
      schema: {
        tags,
        operationId: 'getSession',
        summary: 'Read a session',
        params,
        response: { 200: answer('The session.', session), ...problems(...ACCESS_PROBLEMS, 'not_found') },
      },
    },
    (request) => sessions.get(companyOf(request), request.params.sessionId),
  )

  server.post(
    '/v1/sessions/:sessionId/start',
    {
      config,
      schema: {
        tags,
        operationId: 'startSession',
        summary: 'Start a session',
        description: 'One that is linked connects; one that is not shows a QR code.',
        params,
        response: {
          200: answer('The session as it is now: it goes on by itself.', session),
          ...problems(...ACCESS_PROBLEMS, 'not_found'),
        },
      },
    },
    (request) => sessions.start(companyOf(request), request.params.sessionId, actorOf(request)),
  )

  server.post(
    '/v1/sessions/:sessionId/stop',
    {
      config,
      schema: {
        tags,
        operationId: 'stopSession',
        summary: 'Stop a session',
        description: 'It stays linked, and WhatsApp keeps what arrives until it is started again.',
        params,
        response: { 200: answer('The session as it is now.', session), ...problems(...ACCESS_PROBLEMS, 'not_found') },
      },
    },
    (request) => sessions.stop(companyOf(request), request.params.sessionId, actorOf(request)),
  )

  server.get(
    '/v1/sessions/:sessionId/qr',
    {
      config,
      schema: {
        tags,
        operationId: 'getLinkingCode',
        summary: 'Read the QR code to scan',
        description: 'As JSON, as a PNG (`Accept: image/png`), or drawn for a terminal (`Accept: text/plain`).',
        params,
        querystring: qrQuery,
        response: {
          200: {
            description: 'The code that is to be scanned now.',
            content: {
              'application/json': { schema: linkingCode },
              'image/png': { schema: z.instanceof(Buffer).meta({ type: 'string', format: 'binary' }) },
              'text/plain': { schema: z.string() },
            },
          },
          ...problems(...ACCESS_PROBLEMS, 'invalid_request', 'not_found', 'session_not_linking'),
        },
      },
    },
    async (request, reply) => {
      const code = await sessions.linkingCode(companyOf(request), request.params.sessionId)
      const format = request.query.format ?? formatOf(request.headers.accept)
      reply.header('vary', 'accept')
      if (format === 'png') return reply.type('image/png').send(await qrAsPng(code.qr))
      if (format === 'text') return reply.type('text/plain; charset=utf-8').send(await qrAsText(code.qr))
      return reply.type('application/json').send(code)
    },
  )
}
