import { contact, resourceId, updateContact } from '@frontdesk/api-contract'
import { z } from 'zod'
import { actorOf, companyOf } from '../authentication.ts'
import { ACCESS_PROBLEMS, answer, BODY_PROBLEMS, problems } from '../documented-responses.ts'
import type { HttpServer } from '../http-server.ts'
import type { HttpServices } from '../services.ts'

/** The people whom a company talks to. */
export function contactRoutes(server: HttpServer, { contacts }: HttpServices): void {
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
        response: { 200: answer('The contact.', contact), ...problems(...ACCESS_PROBLEMS, 'not_found') },
      },
    },
    (request) => contacts.get(companyOf(request), request.params.contactId),
  )

  server.patch(
    '/v1/contacts/:contactId',
    {
      config: { access: 'company' },
      schema: {
        tags: ['Messages'],
        operationId: 'updateContact',
        summary: 'Say whether a contact wants messages',
        description:
          'Nothing is sent to a contact that is opted out, by whomever and from whichever session: what waits fails with the code `contact_opted_out`, and so does what comes.',
        params: z.strictObject({ contactId: resourceId }),
        body: updateContact,
        response: {
          200: answer('The contact as it is now.', contact),
          ...problems(...ACCESS_PROBLEMS, ...BODY_PROBLEMS, 'not_found'),
        },
      },
    },
    (request) => contacts.update(companyOf(request), request.params.contactId, request.body, actorOf(request)),
  )
}
