import { z } from 'zod'
import { id, moment, pageSize, phone } from './common.ts'
import { itemCursor } from './list.ts'
import {
  MAX_TEXT_LENGTH,
  MESSAGE_MODEL_VERSION,
  messageContent,
  messageDirection,
  messageOrigin,
  messageStatus,
  outgoingContent,
} from './message.ts'

/** The partner of a chat. A person has one id, by whichever of their addresses they write. */
export const messageContact = z
  .strictObject({
    id,
    phone: phone.nullable().describe('Null while WhatsApp has told only the LID.'),
    lid: z.string().nullable().describe("WhatsApp's own anonymous id of the person, when known."),
    name: z.string().nullable().describe('The name that the person chose.'),
  })
  .meta({ id: 'MessageContact', description: 'The customer of a message, with all known addresses.' })
export type MessageContact = z.infer<typeof messageContact>

export const contact = messageContact
  .extend({ optedOutAt: moment.nullable().describe('Since when the contact wants no messages; null while it does.') })
  .meta({ id: 'Contact', description: 'A person whom the company writes with.' })
export type Contact = z.infer<typeof contact>

export const updateContact = z
  .strictObject({ isOptedOut: z.boolean().describe('Whether the contact wants no messages.') })
  .meta({ id: 'UpdateContact', examples: [{ isOptedOut: true }] })
export type UpdateContact = z.infer<typeof updateContact>

/** Why a queued message waits. */
export const waitReason = z.enum(['scheduled', 'retry', 'throttled', 'pace', 'warm_up', 'new_contacts'])
export type WaitReason = z.infer<typeof waitReason>

/** A message as the API shows it, in either direction. */
export const messageResource = z
  .strictObject({
    id,
    modelVersion: z.literal(MESSAGE_MODEL_VERSION).describe('Version of the form of `content`.'),
    sessionId: id,
    contact: messageContact,
    direction: messageDirection,
    origin: messageOrigin.describe('Who wrote it: the customer, the API, a responder, or the owner on the phone.'),
    status: messageStatus.describe(
      '`received` for inbound ones. Outbound: `queued`, then `sent` (at WhatsApp), `delivered`, `read`, `played`; or `failed`.',
    ),
    content: messageContent,
    whatsappId: z.string().describe("WhatsApp's id of the message."),
    turnId: id.nullable().describe('The answer that the message belongs to.'),
    error: z
      .strictObject({ code: z.string(), title: z.string() })
      .nullable()
      .describe('Why the message failed; null otherwise.'),
    nextAttemptAt: moment
      .nullable()
      .describe(
        'Queued: not before this moment. Null where nothing but the session is waited for, or only for seconds.',
      ),
    waitReason: waitReason
      .nullable()
      .describe(
        'Why it is not sent before `nextAttemptAt`. `scheduled`: by `sendAt`. `retry`: WhatsApp has not acknowledged it. `throttled`: WhatsApp wants fewer messages. `pace`, `warm_up`, `new_contacts`: the limits of the settings under `pacing`.',
      ),
    expiresAt: moment.nullable().describe('Outbound, of the API or a responder: what is not sent by then fails.'),
    createdAt: moment.describe('When Frontdesk stored it.'),
    sentAt: moment
      .nullable()
      .describe("Inbound: the sender's own time. Outbound: when WhatsApp acknowledged it. Null before."),
    deliveredAt: moment.nullable(),
    readAt: moment.nullable(),
  })
  .meta({ id: 'Message', description: 'A message of a chat.' })
export type MessageResource = z.infer<typeof messageResource>

export const sendMessage = z
  .strictObject({
    sessionId: id.describe('The session to send from.'),
    to: z
      .string()
      .min(1)
      .max(64)
      .describe(
        "The recipient: a phone number in international form (a leading + and separators are tolerated), or a contact's id.",
      ),
    content: outgoingContent,
    agent: z
      .string()
      .trim()
      .min(1)
      .max(200)
      .optional()
      .describe(
        'The person who writes: a name or an id of your own. The conversation is theirs from then on, and no responder answers until it goes back to the bot.',
      ),
    sendAt: moment
      .optional()
      .describe('Not before this moment, at most a year ahead. Other messages of the chat do not wait for it.'),
    expiresAt: moment
      .optional()
      .describe(
        'What is not sent by then fails with the code `expired`. At most 30 days after it may be sent; 24 hours unless told.',
      ),
  })
  .meta({
    id: 'SendMessage',
    examples: [
      {
        sessionId: '019a6f0e-9c1f-7c3e-8a53-2f1f0c3d7b11',
        to: '4917012345678',
        content: { kind: 'text', text: 'Your appointment is tomorrow at 10.' },
      },
    ],
    description: `A message to send. A text has at most ${MAX_TEXT_LENGTH} characters.`,
  })
export type SendMessage = z.infer<typeof sendMessage>

export const acceptedMessage = z
  .strictObject({
    id,
    sessionId: id,
    contactId: id,
    whatsappId: z.string().describe("WhatsApp's id of the message: every attempt bears the same."),
    status: messageStatus.describe('`queued`, or how far it has come when the same request was accepted before.'),
    createdAt: moment,
  })
  .meta({
    id: 'AcceptedMessage',
    description: 'The message is stored and will be sent. Follow it by its id or by the events.',
  })
export type AcceptedMessage = z.infer<typeof acceptedMessage>

export const messageQuery = z.strictObject({
  sessionId: id.optional().describe('Only messages of this session.'),
  contactId: id.optional().describe('Only the chat with this contact.'),
  limit: pageSize(200, 50),
  cursor: itemCursor.optional(),
})
export type MessageQuery = z.infer<typeof messageQuery>
