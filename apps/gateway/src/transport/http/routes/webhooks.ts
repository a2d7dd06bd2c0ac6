import {
  createWebhookEndpoint,
  list,
  resourceId,
  rotateWebhookSecret,
  updateWebhookEndpoint,
  webhookDelivery,
  webhookEndpoint,
  webhookEndpointWithSecret,
} from '@frontdesk/api-contract'
import { z } from 'zod'
import { actorOf, companyOf } from '../authentication.ts'
import { ACCESS_PROBLEMS, answer, BODY_PROBLEMS, problems } from '../documented-responses.ts'
import type { HttpServer } from '../http-server.ts'
import type { HttpServices } from '../services.ts'

const tags = ['Webhooks']
const config = { access: 'company' } as const
const params = z.strictObject({ endpointId: resourceId })

/** Where a company's events are posted to. What became of each: deliveries.ts. */
export function webhookRoutes(server: HttpServer, { webhookEndpoints }: HttpServices): void {
  server.post(
    '/v1/webhook-endpoints',
    {
      config,
      schema: {
        tags,
        operationId: 'createWebhookEndpoint',
        summary: 'Have events posted to a URL',
        description:
          'Each event from now on is posted as a `WebhookPayload`, signed as Standard Webhooks has it, until the endpoint answers 2xx: for up to 24 hours, less and less often. An event can come more than once: `webhook-id` tells. The secret is in this answer only.',
        body: createWebhookEndpoint,
        response: {
          201: answer('The new endpoint, with its secret.', webhookEndpointWithSecret),
          ...problems(...ACCESS_PROBLEMS, ...BODY_PROBLEMS, 'url_not_allowed', 'webhook_endpoint_limit_reached'),
        },
      },
    },
    async (request, reply) => {
      const created = await webhookEndpoints.create(companyOf(request), request.body, actorOf(request))
      return reply.code(201).header('location', `/v1/webhook-endpoints/${created.id}`).send(created)
    },
  )

  server.get(
    '/v1/webhook-endpoints',
    {
      config,
      schema: {
        tags,
        operationId: 'listWebhookEndpoints',
        summary: 'List the webhook endpoints',
        response: {
          200: answer('The endpoints, oldest first.', list(webhookEndpoint)),
          ...problems(...ACCESS_PROBLEMS),
        },
      },
    },
    async (request) => ({ items: await webhookEndpoints.list(companyOf(request)), next: null }),
  )

  server.get(
    '/v1/webhook-endpoints/:endpointId',
    {
      config,
      schema: {
        tags,
        operationId: 'getWebhookEndpoint',
        summary: 'Read a webhook endpoint, and how well it does',
        params,
        response: { 200: answer('The endpoint.', webhookEndpoint), ...problems(...ACCESS_PROBLEMS, 'not_found') },
      },
    },
    (request) => webhookEndpoints.get(companyOf(request), request.params.endpointId),
  )

  server.patch(
    '/v1/webhook-endpoints/:endpointId',
    {
      config,
      schema: {
        tags,
        operationId: 'updateWebhookEndpoint',
        summary: 'Change, enable or disable a webhook endpoint',
        description: 'What is left out stays. An endpoint that was paused after failures is tried again at once.',
        params,
        body: updateWebhookEndpoint,
        response: {
          200: answer('The endpoint as it is now.', webhookEndpoint),
          ...problems(...ACCESS_PROBLEMS, ...BODY_PROBLEMS, 'url_not_allowed', 'not_found'),
        },
      },
    },
    (request) => webhookEndpoints.update(companyOf(request), request.params.endpointId, request.body, actorOf(request)),
  )

  server.delete(
    '/v1/webhook-endpoints/:endpointId',
    {
      config,
      schema: {
        tags,
        operationId: 'deleteWebhookEndpoint',
        summary: 'Delete a webhook endpoint',
        description: 'Nothing more is sent, also not what waits.',
        params,
        response: { 204: z.undefined().describe('Deleted.'), ...problems(...ACCESS_PROBLEMS, 'not_found') },
      },
    },
    async (request, reply) => {
      await webhookEndpoints.delete(companyOf(request), request.params.endpointId, actorOf(request))
      return reply.code(204).send()
    },
  )

  server.post(
    '/v1/webhook-endpoints/:endpointId/rotate-secret',
    {
      config,
      schema: {
        tags,
        operationId: 'rotateWebhookSecret',
        summary: 'Replace the secret',
        description:
          'The new secret signs at once. The former ones sign as well for a while: give the new one to the receiver within that time, and no delivery is refused. The secret is in this answer only.',
        params,
        body: rotateWebhookSecret,
        response: {
          200: answer('The endpoint, with its new secret.', webhookEndpointWithSecret),
          ...problems(...ACCESS_PROBLEMS, ...BODY_PROBLEMS, 'not_found'),
        },
      },
    },
    (request) =>
      webhookEndpoints.rotateSecret(companyOf(request), request.params.endpointId, request.body, actorOf(request)),
  )

  server.post(
    '/v1/webhook-endpoints/:endpointId/test',
    {
      config,
      schema: {
        tags,
        operationId: 'testWebhookEndpoint',
        summary: 'Send a test event',
        description: 'The event `webhook.test`, which goes to this endpoint alone, whatever types it asks for.',
        params,
        response: {
          202: answer('The delivery: read it again to see what became of it.', webhookDelivery),
          ...problems(...ACCESS_PROBLEMS, 'not_found', 'webhook_endpoint_disabled'),
        },
      },
    },
    async (request, reply) => {
      const delivery = await webhookEndpoints.test(companyOf(request), request.params.endpointId, actorOf(request))
      return reply.code(202).header('location', `/v1/webhook-deliveries/${delivery.id}`).send(delivery)
    },
  )
}
