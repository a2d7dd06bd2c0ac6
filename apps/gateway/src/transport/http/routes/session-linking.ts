import { linkingCode, linkSession, resourceId, session } from '@frontdesk/api-contract'
import { z } from 'zod'
import { FrontdeskError } from '#src/model/errors.ts'
import { actorOf, companyOf } from '../authentication.ts'
import { ACCESS_PROBLEMS, answer, BODY_PROBLEMS, problems } from '../documented-responses.ts'
import type { HttpServer } from '../http-server.ts'
import { qrAsPng, qrAsText } from '../qr-code.ts'
import type { HttpServices } from '../services.ts'

const tags = ['Sessions']
const config = { access: 'company' } as const
const params = z.strictObject({ sessionId: resourceId })

const codeQuery = z.strictObject({
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

/** Linking a session to a phone, by QR code or by pairing code. */
export function sessionLinkingRoutes(server: HttpServer, { sessions }: HttpServices): void {
  server.post(
    '/v1/sessions/:sessionId/link',
    {
      config,
      schema: {
        tags,
        operationId: 'linkSession',
        summary: 'Begin to link a phone, or begin anew with a fresh code',
        description:
          'Answers at once. The code follows in a moment under `/code`, and each step is an event `session.state_changed`. Each call counts against the limit of attempts per hour.',
        params,
        body: linkSession,
        response: {
          200: answer('The session as it is now: it goes on by itself.', session),
          ...problems(
            ...[...ACCESS_PROBLEMS, ...BODY_PROBLEMS, 'not_found' as const, 'invalid_phone_number' as const],
            ...(['session_already_linked', 'session_deleted', 'linking_limit_reached'] as const),
          ),
        },
      },
    },
    (request) => sessions.link(companyOf(request), request.params.sessionId, request.body, actorOf(request)),
  )

  server.get(
    '/v1/sessions/:sessionId/code',
    {
      config,
      schema: {
        tags,
        operationId: 'getLinkingCode',
        summary: 'Read the code to scan or to type',
        description:
          'As JSON, for a terminal (`Accept: text/plain`), or as a picture of the QR code (`Accept: image/png`).',
        params,
        querystring: codeQuery,
        response: {
          200: {
            description: 'The code that links the phone now.',
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
      const shown = await sessions.linkingCode(companyOf(request), request.params.sessionId)
      const format = request.query.format ?? formatOf(request.headers.accept)
      reply.header('vary', 'accept')
      if (format === 'json') return reply.type('application/json').send(shown)
      if (format === 'text') {
        const text = shown.kind === 'qr' ? await qrAsText(shown.qr) : `${shown.code}\n`
        return reply.type('text/plain; charset=utf-8').send(text)
      }
      if (shown.kind !== 'qr') {
        throw new FrontdeskError('session_not_linking', 'It shows a pairing code, of which there is no picture.')
      }
      return reply.type('image/png').send(await qrAsPng(shown.qr))
    },
  )
}
