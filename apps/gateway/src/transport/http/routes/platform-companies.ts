import {
  apiKey,
  company,
  createApiKey,
  createCompany,
  createdApiKey,
  list,
  pageQuery,
  resourceId,
} from '@frontdesk/api-contract'
import { z } from 'zod'
import { actorOf } from '../authentication.ts'
import { ACCESS_PROBLEMS, answer, BODY_PROBLEMS, problems } from '../documented-responses.ts'
import type { HttpServer } from '../http-server.ts'
import type { HttpServices } from '../services.ts'

const params = z.strictObject({ companyId: resourceId })
const tags = ['Platform']
const config = { access: 'platform' } as const

/** What a platform does with its key: creates companies and hands them their first key. */
export function platformCompanyRoutes(server: HttpServer, { companies, apiKeys }: HttpServices): void {
  server.post(
    '/v1/companies',
    {
      config,
      schema: {
        tags,
        operationId: 'createCompany',
        summary: 'Create a company',
        body: createCompany,
        response: { 201: answer('The new company.', company), ...problems(...ACCESS_PROBLEMS, ...BODY_PROBLEMS) },
      },
    },
    async (request, reply) => {
      const created = await companies.create(request.body, actorOf(request))
      return reply.code(201).header('location', `/v1/companies/${created.id}`).send(created)
    },
  )

  server.get(
    '/v1/companies',
    {
      config,
      schema: {
        tags,
        operationId: 'listCompanies',
        summary: 'List the companies, oldest first',
        querystring: pageQuery,
        response: {
          200: answer('A page of companies.', list(company)),
          ...problems(...ACCESS_PROBLEMS, 'invalid_request'),
        },
      },
    },
    (request) => companies.list(request.query),
  )

  server.get(
    '/v1/companies/:companyId',
    {
      config,
      schema: {
        tags,
        operationId: 'getCompany',
        summary: 'Read a company',
        params,
        response: { 200: answer('The company.', company), ...problems(...ACCESS_PROBLEMS, 'not_found') },
      },
    },
    (request) => companies.get(request.params.companyId),
  )

  server.post(
    '/v1/companies/:companyId/api-keys',
    {
      config,
      schema: {
        tags,
        operationId: 'createCompanyApiKey',
        summary: "Create a company's API key",
        params,
        body: createApiKey,
        response: {
          201: answer('The new key, with its secret.', createdApiKey),
          ...problems(...ACCESS_PROBLEMS, ...BODY_PROBLEMS, 'not_found'),
        },
      },
    },
    async (request, reply) => {
      const created = await apiKeys.create(request.params.companyId, request.body, actorOf(request))
      return reply.code(201).send(created)
    },
  )

  server.get(
    '/v1/companies/:companyId/api-keys',
    {
      config,
      schema: {
        tags,
        operationId: 'listCompanyApiKeys',
        summary: "List a company's API keys",
        params,
        response: {
          200: answer('The keys, oldest first, revoked ones included.', list(apiKey)),
          ...problems(...ACCESS_PROBLEMS, 'not_found'),
        },
      },
    },
    async (request) => ({ items: await apiKeys.list(request.params.companyId), next: null }),
  )
}
