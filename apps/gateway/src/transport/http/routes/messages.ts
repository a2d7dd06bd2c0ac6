import { acceptedMessage, list, messageQuery, messageResource, resourceId, sendMessage } from '@frontdesk/api-contract'
import { z } from 'zod'
import { FrontdeskError } from '#src/model/errors.ts'
import { parsePhoneNumber } from '#src/model/phone-number.ts'
import { companyOf } from '../authentication.ts'
import { ACCESS_PROBLEMS, answer, BODY_PROBLEMS, problems } from '../documented-responses.ts'
import type { HttpServer } from '../http-server.ts'
import { requestHash } from '../request-hash.ts'
import type { HttpServices } from '../services.ts'

const tags = ['Messages']
const config = { access: 'company' } as const

const sendHeaders = z.looseObject({
  'idempotency-key': z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 visible ASCII characters')
    .optional()
    .describe('The same key with the same body is the same message, however often it is sent: it goes out once.'),
})

function recipientOf(to: string): { phone: string } | { contactId: string } {
  const contactId = resourceId.safeParse(to)
  if (contactId.success) return { contactId: contactId.data }
  const phone = parsePhoneNumber(to)
  if (phone === undefined) throw new FrontdeskError('invalid_phone_number')
  return { phone }
}

/** Sending messages and reading those of all chats. */
export function messageRoutes(server: HttpServer, { outbox, messages }: HttpServices): void {
  server.post(
    '/v1/messages',
    {
      config,
      schema: {
        tags,
        operationId: 'sendMessage',
        summary: 'Send a message',
        description:
          'Answered as soon as the message is stored. It is sent in the order of acceptance within its chat, as soon as the session is online, at the pace of the settings. A message to a contact that does not want any is stored as failed. With `agent`, the conversation is that person’s: answers of responders that are not sent yet are taken back.',
        headers: sendHeaders,
        body: sendMessage,
        response: {
          202: answer('The message is stored.', acceptedMessage),
          ...problems(
            ...ACCESS_PROBLEMS,
            ...BODY_PROBLEMS,
            'invalid_phone_number',
            'not_found',
            'idempotency_key_reused',
            'session_not_linked',
            'session_logged_out',
          ),
        },
      },
    },
    async (request, reply) => {
      const { sessionId, to, content, agent, sendAt, expiresAt } = request.body
      const idempotencyKey = request.headers['idempotency-key']
      const wanted = { sessionId, to: recipientOf(to), content }
      const accepted = await outbox.accept(companyOf(request), {
        ...wanted,
        requestHash: requestHash({ ...wanted, agent, sendAt, expiresAt }),
        ...(agent !== undefined && { agent }),
        ...(sendAt !== undefined && { sendAt: new Date(sendAt) }),
        ...(expiresAt !== undefined && { expiresAt: new Date(expiresAt) }),
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      })
      return reply.code(202).header('location', `/v1/messages/${accepted.id}`).send(accepted)
    },
  )

  server.get(
    '/v1/messages',
    {
      config,
      schema: {
        tags,
        operationId: 'listMessages',
        summary: 'List messages, newest first',
        querystring: messageQuery,
        response: {
          200: answer('A page of messages.', list(messageResource)),
          ...problems(...ACCESS_PROBLEMS, 'invalid_request'),
        },
      },
    },
    (request) => messages.list(companyOf(request), request.query),
  )

  server.get(
    '/v1/messages/:messageId',
    {
      config,
      schema: {
        tags,
        operationId: 'getMessage',
        summary: 'Read a message',
        params: z.strictObject({ messageId: resourceId }),
        response: { 200: answer('The message.', messageResource), ...problems(...ACCESS_PROBLEMS, 'not_found') },
      },
    },
    (request) => messages.get(companyOf(request), request.params.messageId),
  )

  server.delete(
    '/v1/messages/:messageId',
    {
      config,
      schema: {
        tags,
        operationId: 'cancelMessage',
        summary: 'Cancel a message that waits',
        description:
          'It fails with the code `cancelled`. Refused for a message that is on its way or gone. One that leaves in this very moment, because its session comes online, shows as sent after all.',
        params: z.strictObject({ messageId: resourceId }),
        response: {
          200: answer('The message, cancelled.', messageResource),
          ...problems(...ACCESS_PROBLEMS, 'not_found', 'message_not_cancellable'),
        },
      },
    },
    async (request) => {
      const companyId = companyOf(request)
      const { messageId } = request.params
      await outbox.cancel(companyId, messageId)
      return messages.get(companyId, messageId)
    },
  )
}
