import { z } from 'zod'
import { id, moment, phone } from './common.ts'
import { conversationState, labels } from './conversation.ts'
import { MESSAGE_MODEL_VERSION, messageContent, textContent } from './message.ts'

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
    isTrial: z
      .boolean()
      .describe('It is only tried, in the playground, and no customer gets the answer: nothing is to come of it.'),
    company: z.strictObject({ id, name: z.string() }),
    session: z.strictObject({ id, name: z.string(), phone: phone.nullable() }),
    contact: z.strictObject({
      id,
      name: z.string().nullable(),
      phone: phone.nullable(),
      lid: z.string().nullable(),
    }),
    conversation: z.strictObject({
      id,
      state: conversationState,
      labels,
      isFirst: z.boolean().describe('Whether nothing was ever written to the contact before.'),
      heldUntil: moment.nullable().describe('The end of the quiet hours that the messages have waited for.'),
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

/** A message of an answer. */
export const answerMessage = z.discriminatedUnion('kind', [
  textContent.extend({
    typingMs: z
      .int()
      .min(0)
      .max(20_000)
      .optional()
      .describe('The customer sees somebody typing for so long before it. The session’s setting decides unless told.'),
  }),
])
export type AnswerMessage = z.infer<typeof answerMessage>

/** What the company's system answers. `{}` or status 204 for no answer. */
export const responderAnswer = z
  .strictObject({
    messages: z
      .array(answerMessage)
      .max(MAX_ANSWER_MESSAGES)
      .optional()
      .describe('Sent to the customer in this order.'),
    pass: z
      .boolean()
      .optional()
      .describe('Nothing to say to this: the next responder is asked. Without messages only.'),
    handoff: z
      .strictObject({ reason: z.string().max(500) })
      .optional()
      .describe('Hands the conversation over to a person, after the messages.'),
    labels: labels.optional().describe('Put on the conversation, in addition to those that it has.'),
  })
  .refine(({ pass, messages }) => pass !== true || (messages ?? []).length === 0, {
    path: ['pass'],
    message: 'must not be true with messages',
  })
  .meta({
    id: 'ResponderAnswer',
    examples: [{ messages: [{ kind: 'text', text: 'Yes, we do balayage.' }] }, {}],
  })
export type ResponderAnswer = z.infer<typeof responderAnswer>
