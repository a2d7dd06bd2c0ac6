import { list, putSecret, secret, secretParams } from '@frontdesk/api-contract'
import { z } from 'zod'
import { actorOf, companyOf } from '../authentication.ts'
import { ACCESS_PROBLEMS, answer, BODY_PROBLEMS, problems } from '../documented-responses.ts'
import type { HttpServer } from '../http-server.ts'
import type { HttpServices } from '../services.ts'

const tags = ['Answers']
const config = { access: 'company' } as const

/** Keys and passwords that the settings name. */
export function secretRoutes(server: HttpServer, { secrets }: HttpServices): void {
  server.put(
    '/v1/secrets/:name',
    {
      config,
      schema: {
        tags,
        operationId: 'putSecret',
        summary: 'Store a secret, or replace it',
        description:
          'Settings refer to it by name. It is sealed, counts at once, and is never shown again. A company has 50 at most.',
        params: secretParams,
        body: putSecret,
        response: {
          200: answer('The secret, without its value.', secret),
          ...problems(...ACCESS_PROBLEMS, ...BODY_PROBLEMS, 'not_found', 'secret_limit_reached'),
        },
      },
    },
    (request) => secrets.put(companyOf(request), request.params.name, request.body, actorOf(request)),
  )

  server.get(
    '/v1/secrets',
    {
      config,
      schema: {
        tags,
        operationId: 'listSecrets',
        summary: 'List the secrets by name, without their values',
        response: { 200: answer('All secrets.', list(secret)), ...problems(...ACCESS_PROBLEMS) },
      },
    },
    async (request) => ({ items: await secrets.list(companyOf(request)), next: null }),
  )

  server.delete(
    '/v1/secrets/:name',
    {
      config,
      schema: {
        tags,
        operationId: 'deleteSecret',
        summary: 'Delete a secret',
        description: 'A responder that needs it fails from now on with the code `secret_missing`.',
        params: secretParams,
        response: { 204: z.undefined().describe('Deleted.'), ...problems(...ACCESS_PROBLEMS, 'not_found') },
      },
    },
    async (request, reply) => {
      await secrets.delete(companyOf(request), request.params.name, actorOf(request))
      return reply.code(204).send()
    },
  )
}
