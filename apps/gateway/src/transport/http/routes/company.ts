import { company, updateCompany } from '@frontdesk/api-contract'
import { actorOf, companyOf } from '../authentication.ts'
import { ACCESS_PROBLEMS, answer, BODY_PROBLEMS, problems } from '../documented-responses.ts'
import type { HttpServer } from '../http-server.ts'
import type { HttpServices } from '../services.ts'

const tags = ['Company']
const config = { access: 'company' } as const

/** The company that the key belongs to. */
export function companyRoutes(server: HttpServer, { companies }: HttpServices): void {
  server.get(
    '/v1/company',
    {
      config,
      schema: {
        tags,
        operationId: 'getOwnCompany',
        summary: "Read the key's company",
        response: { 200: answer('The company.', company), ...problems(...ACCESS_PROBLEMS) },
      },
    },
    (request) => companies.get(companyOf(request)),
  )

  server.patch(
    '/v1/company',
    {
      config,
      schema: {
        tags,
        operationId: 'updateOwnCompany',
        summary: 'Change the name or the settings',
        description: 'What is left out stays as it is.',
        body: updateCompany,
        response: {
          200: answer('The company as it is now.', company),
          ...problems(...ACCESS_PROBLEMS, ...BODY_PROBLEMS),
        },
      },
    },
    (request) => companies.update(companyOf(request), request.body, actorOf(request)),
  )
}
