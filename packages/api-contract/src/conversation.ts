import { z } from 'zod'
import { id, moment, pageSize } from './common.ts'
import { itemCursor } from './list.ts'
import { messageContact } from './message-resource.ts'
import { responderChain } from './responder-settings.ts'

/**
 * Who answers in a conversation. `bot`: the responders. `waiting`: nobody, a person is waited for. `human`: a person.
 * `closed`: the matter is settled; what the customer writes next opens it again, for the bot.
 */
export const conversationState = z.enum(['bot', 'waiting', 'human', 'closed'])
export type ConversationState = z.infer<typeof conversationState>

/** Why a conversation has its state. */
export const conversationReason = z.enum([
  'customer_wrote',
  'customer_asked',
  'rule',
  'responder',
  'limit_reached',
  'loop_suspected',
  'written_on_phone',
  'written_by_agent',
  'set_by_api',
  'timed_out',
])
export type ConversationReason = z.infer<typeof conversationReason>

const label = z.string().trim().min(1).max(50)
export const labels = z.array(label).max(20)

const assignee = z.string().trim().min(1).max(200).describe('Who takes care of it: a name or an id of your own.')

export const conversation = z
  .strictObject({
    id,
    sessionId: id,
    contact: messageContact,
    state: conversationState,
    reason: conversationReason,
    detail: z.string().nullable().describe('What the responder said about its reason to hand over.'),
    since: moment.describe('Since when it has its state.'),
    returnsAt: moment.nullable().describe('When it goes back to the bot by itself; null where it does not.'),
    assignee: assignee.nullable(),
    labels,
    responders: responderChain.nullable().describe('Those of this conversation; null for those of the company.'),
    turns: z.int().min(0).describe('Answers of the bot since the conversation was opened.'),
    cost: z.number().min(0).describe('What they cost, in the currency of the prices.'),
    createdAt: moment,
  })
  .meta({ id: 'Conversation', description: 'The chat of a session with a contact, and who answers in it.' })
export type Conversation = z.infer<typeof conversation>

export const updateConversation = z
  .strictObject({
    state: conversationState.optional(),
    returnsAt: moment
      .nullable()
      .optional()
      .describe(
        'When the conversation goes back to the bot by itself; null for never. With `waiting` or `human`; by the settings under `handoff` unless told.',
      ),
    assignee: assignee.nullable().optional(),
    labels: labels.optional().describe('In place of those that it has.'),
    responders: responderChain
      .nullable()
      .optional()
      .describe('Responders of this conversation alone, in place of the company’s; null for the company’s again.'),
  })
  .meta({ id: 'UpdateConversation', examples: [{ state: 'human', assignee: 'Lena' }] })
export type UpdateConversation = z.infer<typeof updateConversation>

export const conversationQuery = z.strictObject({
  state: conversationState.optional(),
  sessionId: id.optional(),
  contactId: id.optional(),
  assignee: z.string().min(1).max(200).optional(),
  label: label.optional(),
  limit: pageSize(200, 50),
  cursor: itemCursor.optional(),
})
export type ConversationQuery = z.infer<typeof conversationQuery>

export const conversationNote = z
  .strictObject({
    id,
    author: z.string().nullable(),
    text: z.string(),
    createdAt: moment,
  })
  .meta({
    id: 'ConversationNote',
    description: 'What people tell each other about a conversation. No customer sees it.',
  })
export type ConversationNote = z.infer<typeof conversationNote>

export const createConversationNote = z
  .strictObject({
    author: z.string().trim().min(1).max(200).optional(),
    text: z.string().trim().min(1).max(4000),
  })
  .meta({ id: 'CreateConversationNote', examples: [{ author: 'Lena', text: 'Wants the same colour as in May.' }] })
export type CreateConversationNote = z.infer<typeof createConversationNote>
