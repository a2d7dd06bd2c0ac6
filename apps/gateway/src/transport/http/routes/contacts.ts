import { messageContact, resourceId } from '@frontdesk/api-contract'
import { z } from 'zod'
import { companyOf } from '../authentication.ts'
import { ACCESS_PROBLEMS, answer, problems } from '../documented-responses.ts'
import type { HttpServer } from '../http-server.ts'
import type { HttpServices } from '../services.ts'

/** The people whom a company talks to. */
export function contactRoutes(server: HttpServer, { messages }: HttpServices): void {
  server.get(
    '/v1/contacts/:contactId',
    {
      config: { access: 'company' },
      schema: {
        tags: ['Messages'],
        operationId: 'getContact',
        summary: 'Read a contact',
        description:
          'A person is one contact, by phone number and by LID. When two contacts turn out to be one, the id of either leads to the one that remains.',
        params: z.strictObject({ contactId: resourceId }),
        response: { 200: answer('The contact.', messageContact), ...problems(...ACCESS_PROBLEMS, 'not_found') },
      },
    },
    (request) => messages.contact(companyOf(request), request.params.contactId),
  )
}
