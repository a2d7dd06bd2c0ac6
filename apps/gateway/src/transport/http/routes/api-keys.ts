import { apiKey, createApiKey, createdApiKey, list, resourceId } from '@frontdesk/api-contract'
import { z } from 'zod'
import { actorOf, companyOf } from '../authentication.ts'
import { ACCESS_PROBLEMS, answer, BODY_PROBLEMS, problems } from '../documented-responses.ts'
import type { HttpServer } from '../http-server.ts'
import type { HttpServices } from '../services.ts'

const tags = ['API keys']
const config = { access: 'company' } as const

/** A company's own keys. */
export function apiKeyRoutes(server: HttpServer, { apiKeys }: HttpServices): void {
  server.get(
    '/v1/api-keys',
    {
      config,
      schema: {
        tags,
        operationId: 'listApiKeys',
        summary: 'List the API keys, without their secrets',
        response: {
          200: answer('The keys, oldest first, revoked ones included.', list(apiKey)),
          ...problems(...ACCESS_PROBLEMS),
        },
      },
    },
    async (request) => ({ items: await apiKeys.list(companyOf(request)), next: null }),
  )

  server.post(
    '/v1/api-keys',
    {
      config,
      schema: {
        tags,
        operationId: 'createApiKey',
        summary: 'Create an API key',
        description: 'The key itself is in this answer only.',
        body: createApiKey,
        response: {
          201: answer('The new key, with its secret.', createdApiKey),
          ...problems(...ACCESS_PROBLEMS, ...BODY_PROBLEMS),
        },
      },
    },
    async (request, reply) => {
      const created = await apiKeys.create(companyOf(request), request.body, actorOf(request))
      return reply.code(201).send(created)
    },
  )

  server.delete(
    '/v1/api-keys/:apiKeyId',
    {
      config,
      schema: {
        tags,
        operationId: 'revokeApiKey',
        summary: 'Revoke an API key',
        description: 'It stops working at once on this node, and within seconds on others. A key may revoke itself.',
        params: z.strictObject({ apiKeyId: resourceId }),
        response: { 204: z.undefined().describe('Revoked.'), ...problems(...ACCESS_PROBLEMS, 'not_found') },
      },
    },
    async (request, reply) => {
      await apiKeys.revoke(companyOf(request), request.params.apiKeyId, actorOf(request))
      return reply.code(204).send()
    },
  )
}
