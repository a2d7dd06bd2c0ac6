import { list, resourceId, turnDetails, turnQuery, turnResource } from '@frontdesk/api-contract'
import { z } from 'zod'
import { companyOf } from '../authentication.ts'
import { ACCESS_PROBLEMS, answer, problems } from '../documented-responses.ts'
import type { HttpServer } from '../http-server.ts'
import type { HttpServices } from '../services.ts'

const tags = ['Answers']
const config = { access: 'company' } as const

/** How customers were answered, and why so. */
export function turnRoutes(server: HttpServer, { turns }: HttpServices): void {
  server.get(
    '/v1/turns',
    {
      config,
      schema: {
        tags,
        operationId: 'listTurns',
        summary: 'List turns, newest first',
        description: 'A turn is one burst of messages on its way to one answer.',
        querystring: turnQuery,
        response: {
          200: answer('A page of turns, without their traces.', list(turnResource)),
          ...problems(...ACCESS_PROBLEMS, 'invalid_request'),
        },
      },
    },
    (request) => turns.list(companyOf(request), request.query),
  )

  server.get(
    '/v1/turns/:turnId',
    {
      config,
      schema: {
        tags,
        operationId: 'getTurn',
        summary: 'Read a turn with its trace',
        description: 'Who was asked, which rules applied, what the model did with which tools, and what it cost.',
        params: z.strictObject({ turnId: resourceId }),
        response: { 200: answer('The turn.', turnDetails), ...problems(...ACCESS_PROBLEMS, 'not_found') },
      },
    },
    (request) => turns.get(companyOf(request), request.params.turnId),
  )
}
