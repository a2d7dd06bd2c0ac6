import { z } from 'zod'
import { id, moment, phone } from './common.ts'
import { MESSAGE_MODEL_VERSION, messageContent, outgoingContent } from './message.ts'

/** How many messages one answer may have. */
export const MAX_ANSWER_MESSAGES = 10

/**
 * What is posted to a company's http responder: one burst of a customer's messages. The header `Idempotency-Key` bears
 * the turn's id: the same turn may be posted again after a failure, and must then be answered the same.
 */
export const responderRequest = z
  .strictObject({
    modelVersion: z.literal(MESSAGE_MODEL_VERSION).describe("Version of the form of the messages' `content`."),
    turnId: id,
    company: z.strictObject({ id, name: z.string() }),
    session: z.strictObject({ id, name: z.string(), phone: phone.nullable() }),
    contact: z.strictObject({
      id,
      name: z.string().nullable(),
      phone: phone.nullable(),
      lid: z.string().nullable(),
    }),
    messages: z
      .array(
        z.strictObject({
          id,
          content: messageContent,
          sentAt: moment.describe("The sender's own time."),
        }),
      )
      .describe('Oldest first.'),
  })
  .meta({
    id: 'ResponderRequest',
    description: "A customer's burst of messages, as the company's own system receives it.",
  })
export type ResponderRequest = z.infer<typeof responderRequest>

/** What the company's system answers. `{}` or status 204 for no answer. */
export const responderAnswer = z
  .strictObject({
    messages: z
      .array(outgoingContent)
      .max(MAX_ANSWER_MESSAGES)
      .optional()
      .describe('Sent to the customer in this order.'),
  })
  .meta({
    id: 'ResponderAnswer',
    examples: [{ messages: [{ kind: 'text', text: 'Yes, we do balayage.' }] }, {}],
  })
export type ResponderAnswer = z.infer<typeof responderAnswer>
