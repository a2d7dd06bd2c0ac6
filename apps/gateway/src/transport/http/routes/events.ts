import { EVENT_TYPES, eventList, eventQuery } from '@frontdesk/api-contract'
import { companyOf } from '../authentication.ts'
import { ACCESS_PROBLEMS, answer, problems } from '../documented-responses.ts'
import { RequestError } from '../http-error.ts'
import type { HttpServer } from '../http-server.ts'
import type { HttpServices } from '../services.ts'

/** The types that the query names; undefined for all. */
function typesOf(types: string | undefined): readonly string[] | undefined {
  const wanted = types?.split(',').map((type) => type.trim())
  if (wanted?.some((type) => !EVENT_TYPES.some((known) => known === type))) {
    throw new RequestError([{ field: 'types', message: `must be some of ${EVENT_TYPES.join(', ')}` }])
  }
  return wanted
}

/** The company's event log. */
export function eventRoutes(server: HttpServer, { events }: HttpServices): void {
  server.get(
    '/v1/events',
    {
      config: { access: 'company' },
      schema: {
        tags: ['Events'],
        operationId: 'listEvents',
        summary: 'Read what happened, oldest first',
        description:
          'To follow the log, ask again with the last `next` as `after`. No event is skipped and none comes twice. Events are kept for 7 days.',
        querystring: eventQuery,
        response: { 200: answer('The events.', eventList), ...problems(...ACCESS_PROBLEMS, 'invalid_request') },
      },
    },
    (request) => {
      const { after, limit, types } = request.query
      return events.read(companyOf(request), { after, limit, types: typesOf(types) })
    },
  )
}
