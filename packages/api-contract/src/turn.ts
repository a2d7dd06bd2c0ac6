import { z } from 'zod'
import { id, json, moment, pageSize } from './common.ts'
import { itemCursor } from './list.ts'

/** How far a turn is. `held`: it waits for the end of the quiet hours. */
export const turnState = z.enum(['open', 'held', 'answered', 'unanswered'])
export type TurnState = z.infer<typeof turnState>

const durationMs = z.int().min(0)

const toolCall = z
  .strictObject({
    callId: z.string().describe('The same for each attempt of the turn, as far as the model asks for the same.'),
    name: z.string(),
    arguments: json,
    result: json.optional().describe('What the model was told: at most 4 KB of it.'),
    error: z.string().optional(),
    durationMs,
  })
  .describe('A use of a tool.')
export type ToolCallTrace = z.infer<typeof toolCall>

const responderStep = z
  .strictObject({
    responder: z.string(),
    outcome: z
      .enum(['answered', 'silent', 'passed', 'failed'])
      .describe('`silent`: it has decided that there is no answer. `passed`: it had nothing to say.'),
    code: z.string().optional().describe('Why it failed, or gave less than it was asked for: a code of the errors.'),
    detail: z.string().optional(),
    durationMs,
    rules: z.array(z.string()).optional().describe('The rules that applied, such as `keywords[2]`.'),
    model: z.string().optional(),
    steps: z.int().min(0).optional().describe('Calls of the model.'),
    tools: z.array(toolCall).optional(),
    tokens: z.strictObject({ input: z.int().min(0), output: z.int().min(0) }).optional(),
    cost: z.number().min(0).optional().describe('In the currency of the price; left out where the price is not known.'),
    attempts: z.int().min(1).optional().describe('Requests to the company’s system.'),
  })
  .describe('What one responder did.')
export type ResponderStep = z.infer<typeof responderStep>

/** What happened in a turn, in the order in which it did. */
export const turnTrace = z.strictObject({
  guard: z
    .string()
    .nullable()
    .describe(
      'Why no responder was asked, a code of the errors such as `conversation_with_person`; null when they were.',
    ),
  steps: z.array(responderStep),
  usedFallback: z.boolean().describe('Whether the company’s fallback was said.'),
  handoff: z.string().nullable().describe('Why it was handed over to a person; null when it was not.'),
  waitedMs: durationMs.describe('From the first message to the beginning of the turn.'),
  answeredMs: durationMs.describe('From then to the answer.'),
})
export type TurnTrace = z.infer<typeof turnTrace>

export const turnResource = z
  .strictObject({
    id,
    sessionId: id,
    contactId: id,
    conversationId: id.nullable(),
    state: turnState,
    responder: z.string().nullable().describe('Who answered.'),
    code: z.string().nullable().describe('Why nobody answered, or only the fallback did; null when all went well.'),
    heldUntil: moment.nullable(),
    received: z.array(id).describe('The customer’s messages.'),
    sent: z.array(id).describe('The messages of the answer.'),
    createdAt: moment,
    closedAt: moment.nullable(),
  })
  .meta({
    id: 'Turn',
    description: 'One burst of messages on its way to one answer, and why the answer is what it is.',
  })
export type TurnResource = z.infer<typeof turnResource>

export const turnDetails = turnResource
  .extend({
    trace: turnTrace.nullable().describe('What happened; null while the turn is open, and after 30 days.'),
  })
  .meta({ id: 'TurnDetails' })
export type TurnDetails = z.infer<typeof turnDetails>

export const turnQuery = z.strictObject({
  sessionId: id.optional(),
  contactId: id.optional(),
  conversationId: id.optional(),
  state: turnState.optional(),
  limit: pageSize(200, 50),
  cursor: itemCursor.optional(),
})
export type TurnQuery = z.infer<typeof turnQuery>
