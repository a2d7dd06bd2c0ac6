import { bulkOperation, createBulkOperation, createPlatformBulkOperation, resourceId } from '@frontdesk/api-contract'
import { z } from 'zod'
import { actorOf, companyOf } from '../authentication.ts'
import { ACCESS_PROBLEMS, answer, BODY_PROBLEMS, problems } from '../documented-responses.ts'
import type { HttpServer } from '../http-server.ts'
import type { HttpServices } from '../services.ts'

const params = z.strictObject({ bulkOperationId: resourceId })
const begun = answer('The operation. It goes on in the background: read it again for its progress.', bulkOperation)
const progress = {
  200: answer('The operation, and how far it has come. It is kept for 7 days.', bulkOperation),
  ...problems(...ACCESS_PROBLEMS, 'not_found'),
}

/** One request for many sessions: a company's own, or the operator's for any. */
export function bulkOperationRoutes(server: HttpServer, { bulkOperations }: HttpServices): void {
  server.post(
    '/v1/sessions/bulk',
    {
      config: { access: 'company' },
      schema: {
        tags: ['Sessions'],
        operationId: 'createBulkOperation',
        summary: 'Start, pause, restart, log out or delete many sessions',
        description:
          'Named ones, at most 1000, or all that it applies to: `start` and `logout` those that are linked, `pause` those that run, `restart` those that are linked and run, `delete` all. They are told one after the other, 50 in a second.',
        body: createBulkOperation,
        response: { 202: begun, ...problems(...ACCESS_PROBLEMS, ...BODY_PROBLEMS, 'not_found') },
      },
    },
    async (request, reply) => {
      const operation = await bulkOperations.begin(companyOf(request), request.body, actorOf(request))
      return reply.code(202).header('location', `/v1/bulk/${operation.id}`).send(operation)
    },
  )

  server.get(
    '/v1/bulk/:bulkOperationId',
    {
      config: { access: 'company' },
      schema: {
        tags: ['Sessions'],
        operationId: 'getBulkOperation',
        summary: 'Read the progress of an operation on many sessions',
        params,
        response: progress,
      },
    },
    (request) => bulkOperations.get(companyOf(request), request.params.bulkOperationId),
  )

  server.post(
    '/v1/platform/sessions/bulk',
    {
      config: { access: 'platform' },
      schema: {
        tags: ['Platform'],
        operationId: 'createPlatformBulkOperation',
        summary: "Start, pause, restart, log out or delete many companies' sessions",
        description: 'All that the action applies to, or only those of a company or in a state.',
        body: createPlatformBulkOperation,
        response: { 202: begun, ...problems(...ACCESS_PROBLEMS, ...BODY_PROBLEMS) },
      },
    },
    async (request, reply) => {
      const operation = await bulkOperations.beginForPlatform(request.body, actorOf(request))
      return reply.code(202).header('location', `/v1/platform/bulk/${operation.id}`).send(operation)
    },
  )

  server.get(
    '/v1/platform/bulk/:bulkOperationId',
    {
      config: { access: 'platform' },
      schema: {
        tags: ['Platform'],
        operationId: 'getPlatformBulkOperation',
        summary: "Read the progress of an operation on many companies' sessions",
        params,
        response: progress,
      },
    },
    (request) => bulkOperations.getOfPlatform(request.params.bulkOperationId),
  )
}
