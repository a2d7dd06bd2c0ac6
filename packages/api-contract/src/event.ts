import { z } from 'zod'
import { alertKind } from './alert.ts'
import { cursor, id, moment, pageSize } from './common.ts'
import { conversationReason, conversationState } from './conversation.ts'
import { messageDirection, messageStatus } from './message.ts'
import { sessionState } from './session.ts'
import { sessionReason } from './session-reason.ts'

/** What all events have. `data` may gain fields at any time: a reader ignores those that it does not know. */
const eventOf = <Type extends string, Data extends z.ZodRawShape>(type: Type, about: string, data: Data) =>
  z
    .strictObject({
      id: z.string().meta({ description: "The event's place in the log.", examples: ['7318-42'] }),
      type: z.literal(type),
      sessionId: id.nullable().describe('The session that it happened in; null where there is none.'),
      subjectId: id.nullable().describe('The thing that the event is about.'),
      data: z.looseObject(data),
      createdAt: moment,
    })
    .meta({ description: about })

const isAnswerable = z
  .boolean()
  .optional()
  .describe(
    'Whether it is one to be answered. False for what an own device wrote, what cannot be read (yet), what is older than ' +
      '24 hours when it arrives, and the history that the phone hands over when it is linked.',
  )
const errorCode = z.string().nullable()

/**
 * Everything that happens in a company. Events hold ids and states, never bodies: read the thing by its id.
 *
 * Their version is that of the API, `/v1`, also in webhooks: within it types and fields are added, and what an event of a
 * type means stays as it is. What would break a reader becomes another type.
 */
export const event = z
  .discriminatedUnion('type', [
    eventOf('company.created', 'A company was created; it is the subject.', {}),
    eventOf('session.created', 'A session was created; it is the subject.', {}),
    eventOf('session.state_changed', 'A session has another state; the session is the subject.', {
      state: sessionState,
      reason: sessionReason.nullable(),
      nextAttemptAt: moment.nullable().describe('When it is tried again; null where nothing is planned.'),
      attempt: z.int().min(0).describe('Attempts to connect since the last good connection.'),
    }),
    eventOf('message.received', 'A message has arrived and is stored, perhaps as pending; it is the subject.', {
      contactId: id,
      direction: messageDirection,
      isAnswerable,
    }),
    eventOf(
      'message.resolved',
      'A message that could not be read has its content now; it is the subject. Only now it is answered.',
      { contactId: id, direction: messageDirection, isAnswerable },
    ),
    eventOf(
      'message.undecryptable',
      'A message that could not be read is not waited for any more; it is the subject.',
      { contactId: id, direction: messageDirection },
    ),
    eventOf('message.queued', 'A message was accepted for sending; it is the subject.', {
      contactId: id,
    }),
    eventOf('message.status_changed', 'A sent message came further, or failed; the message is the subject.', {
      status: messageStatus,
      code: errorCode.optional().describe('Why it failed: a code of the errors.'),
      whatsappCode: z.string().optional().describe("WhatsApp's own code for the reason."),
    }),
    eventOf('turn.opened', 'A burst of messages is being answered; the turn is the subject.', {
      contactId: id,
    }),
    eventOf('turn.closed', 'A turn is over; it is the subject.', {
      contactId: id,
      state: z.enum(['answered', 'unanswered']),
      responder: z.string().nullable().describe('Who answered.'),
      code: errorCode.describe('Why nobody answered, or only the fallback did; null when all went well.'),
    }),
    eventOf('turn.held', 'A turn waits for the end of the quiet hours; it is the subject.', {
      contactId: id,
      heldUntil: moment,
    }),
    eventOf('conversation.state_changed', 'Somebody else answers in a conversation now; it is the subject.', {
      contactId: id,
      state: conversationState,
      reason: conversationReason,
      assignee: z.string().nullable(),
      returnsAt: moment.nullable(),
    }),
    eventOf(
      'conversation.updated',
      'A conversation has another assignee, other labels or responders; it is the subject.',
      {
        contactId: id,
      },
    ),
    eventOf('conversation.note_added', 'Somebody has noted something about a conversation; it is the subject.', {
      contactId: id,
      noteId: id,
    }),
    eventOf('alert.raised', 'A person should know of something; the alert is the subject.', { kind: alertKind }),
    eventOf('alert.cleared', 'It is over; the alert is the subject.', { kind: alertKind }),
    eventOf('webhook.test', 'Somebody tries a webhook endpoint; it is the subject, and only it is told.', {}),
    eventOf('contact.opted_out', 'A contact wants no messages any more; it is the subject.', {}),
    eventOf('contact.opted_in', 'A contact wants messages again; it is the subject.', {}),
    eventOf('contact.merged', 'Two contacts were one person; the one that is gone is the subject.', {
      into: id.describe('The contact that remains.'),
    }),
  ])
  .meta({
    id: 'Event',
    description: 'Something that happened. New types may appear: ignore those that you do not know.',
  })
export type Event = z.infer<typeof event>
export type EventType = Event['type']

export const EVENT_TYPES: readonly EventType[] = event.options.map((option) => option.shape.type.value)

export const eventQuery = z.strictObject({
  after: cursor.optional().describe('`next` of the last answer. Without it, from the oldest event that is kept.'),
  limit: pageSize(1000, 100),
  types: z
    .string()
    .max(1000)
    .optional()
    .describe('Only these types, separated by commas, such as `message.received,message.status_changed`.'),
})
export type EventQuery = z.infer<typeof eventQuery>

export const eventList = z
  .strictObject({
    items: z.array(event),
    next: cursor.nullable().describe('Hand it back as `after` to go on from here, also after an empty page.'),
  })
  .meta({ id: 'EventList' })
export type EventList = z.infer<typeof eventList>
