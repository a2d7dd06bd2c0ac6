import { z } from 'zod'
import { moment } from './common.ts'
import { answerMessage } from './responder.ts'
import { answerText } from './responder-settings.ts'
import { companySettings } from './settings.ts'
import { turnTrace } from './turn.ts'

/** A conversation that is only tried. */
export const playgroundRequest = z
  .strictObject({
    settings: companySettings
      .partial()
      .optional()
      .describe('A draft: each key stands in place of what the company has set.'),
    history: z
      .array(z.strictObject({ from: z.enum(['customer', 'company']), text: answerText }))
      .max(100)
      .optional()
      .describe('What was written before, oldest first.'),
    messages: z.array(answerText).min(1).max(50).describe('The customer’s burst of messages.'),
    contact: z.strictObject({ name: z.string().max(200).optional() }).optional(),
    at: moment.optional().describe('As if it were this moment: now unless told.'),
    callTools: z
      .boolean()
      .optional()
      .describe(
        'Whether tools are really called, by the company’s systems. Otherwise the model is told that each has worked.',
      ),
  })
  .meta({ id: 'PlaygroundRequest', examples: [{ messages: ['Hi!', 'How much is a haircut?'] }] })
export type PlaygroundRequest = z.infer<typeof playgroundRequest>

export const playgroundAnswer = z
  .strictObject({
    messages: z.array(answerMessage),
    responder: z.string().nullable(),
    code: z.string().nullable(),
    heldUntil: moment.nullable().describe('When the messages would be answered; null for now.'),
    labels: z.array(z.string()),
    trace: turnTrace,
  })
  .meta({ id: 'PlaygroundAnswer', description: 'What would have been answered. Nothing was sent, and nothing stored.' })
export type PlaygroundAnswer = z.infer<typeof playgroundAnswer>
