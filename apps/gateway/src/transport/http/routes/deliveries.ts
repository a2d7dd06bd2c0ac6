import {
  deliveryId,
  deliveryQuery,
  list,
  replayDeliveries,
  replayResult,
  webhookDelivery,
} from '@frontdesk/api-contract'
import { z } from 'zod'
import { actorOf, companyOf } from '../authentication.ts'
import { ACCESS_PROBLEMS, answer, BODY_PROBLEMS, problems } from '../documented-responses.ts'
import type { HttpServer } from '../http-server.ts'
import type { HttpServices } from '../services.ts'

const tags = ['Webhooks']
const config = { access: 'company' } as const
const params = z.strictObject({ deliveryId })

/** What became of the events that were posted to endpoints. */
export function deliveryRoutes(server: HttpServer, { webhookDeliveries }: HttpServices): void {
  server.get(
    '/v1/webhook-deliveries',
    {
      config,
      schema: {
        tags,
        operationId: 'listWebhookDeliveries',
        summary: 'List deliveries, newest first',
        description: 'Each with its attempts. Deliveries are kept for 7 days.',
        querystring: deliveryQuery,
        response: {
          200: answer('A page of deliveries.', list(webhookDelivery)),
          ...problems(...ACCESS_PROBLEMS, 'invalid_request'),
        },
      },
    },
    (request) => webhookDeliveries.list(companyOf(request), request.query),
  )

  server.get(
    '/v1/webhook-deliveries/:deliveryId',
    {
      config,
      schema: {
        tags,
        operationId: 'getWebhookDelivery',
        summary: 'Read a delivery and its attempts',
        params,
        response: { 200: answer('The delivery.', webhookDelivery), ...problems(...ACCESS_PROBLEMS, 'not_found') },
      },
    },
    (request) => webhookDeliveries.get(companyOf(request), request.params.deliveryId),
  )

  server.post(
    '/v1/webhook-deliveries/:deliveryId/replay',
    {
      config,
      schema: {
        tags,
        operationId: 'replayWebhookDelivery',
        summary: 'Deliver once more',
        description: 'At once, whatever has become of it, with the same `webhook-id` and another 24 hours of retries.',
        params,
        response: {
          202: answer('The delivery, which waits again.', webhookDelivery),
          ...problems(...ACCESS_PROBLEMS, 'not_found', 'webhook_endpoint_disabled'),
        },
      },
    },
    async (request, reply) =>
      reply
        .code(202)
        .send(await webhookDeliveries.replay(companyOf(request), request.params.deliveryId, actorOf(request))),
  )

  server.post(
    '/v1/webhook-deliveries/replay',
    {
      config,
      schema: {
        tags,
        operationId: 'replayWebhookDeliveries',
        summary: 'Deliver many once more',
        description:
          'Those that were given up, or those that were taken, all or only some: of an endpoint, of a type, of a time range. Endpoints that are gone or disabled are passed over. At most 10000, the oldest: for more, name narrower ranges.',
        body: replayDeliveries,
        response: {
          202: answer('How many wait again.', replayResult),
          ...problems(...ACCESS_PROBLEMS, ...BODY_PROBLEMS),
        },
      },
    },
    async (request, reply) =>
      reply.code(202).send(await webhookDeliveries.replayAll(companyOf(request), request.body, actorOf(request))),
  )
}
