import { alert, alertQuery, list } from '@frontdesk/api-contract'
import { companyOf } from '../authentication.ts'
import { ACCESS_PROBLEMS, answer, problems } from '../documented-responses.ts'
import type { HttpServer } from '../http-server.ts'
import type { HttpServices } from '../services.ts'

const response = {
  200: answer('A page of alerts, newest first.', list(alert)),
  ...problems(...ACCESS_PROBLEMS, 'invalid_request'),
}

/** What people should know of: a company its own, the platform all. */
export function alertRoutes(server: HttpServer, { alerts }: HttpServices): void {
  server.get(
    '/v1/alerts',
    {
      config: { access: 'company' },
      schema: {
        tags: ['Alerts'],
        operationId: 'listAlerts',
        summary: 'List the alerts',
        description:
          'Those that last, unless told otherwise. Each is also an event, `alert.raised` and `alert.cleared`.',
        querystring: alertQuery,
        response,
      },
    },
    (request) => alerts.list(companyOf(request), request.query),
  )

  server.get(
    '/v1/platform/alerts',
    {
      config: { access: 'platform' },
      schema: {
        tags: ['Platform'],
        operationId: 'listAllAlerts',
        summary: 'List the alerts of the platform and of all companies',
        querystring: alertQuery,
        response,
      },
    },
    (request) => alerts.listAll(request.query),
  )
}
