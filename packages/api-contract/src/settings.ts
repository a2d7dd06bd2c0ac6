import { z } from 'zod'
import { displayName, phone } from './common.ts'
import { openingHours, timeOfDay, timeZone } from './opening-hours.ts'
import { answerText, keywords, responderChain } from './responder-settings.ts'
import { sessionSettings } from './session.ts'

const batching = z
  .strictObject({
    quietMs: z
      .int()
      .min(0)
      .max(60_000)
      .optional()
      .describe('The burst is over when the customer was quiet for so long. Writing the next message is not quiet.'),
    maxMs: z
      .int()
      .min(0)
      .max(300_000)
      .optional()
      .describe('The longest that the first message waits for the answer to begin. 0: nothing is waited for.'),
    maxMessages: z
      .int()
      .min(1)
      .max(50)
      .optional()
      .describe('The burst is over with so many messages. 1 has each message answered by itself.'),
  })
  .describe("Several messages in quick succession get one answer. What is left out is the deployment's setting.")

const optOut = z
  .strictObject({
    stopWords: keywords
      .optional()
      .describe('A message of just this word, such as `STOP`, ends all messages to the contact.'),
    startWords: keywords.optional().describe('A message of just this word, such as `START`, allows them again.'),
  })
  .describe('Nothing is sent to a contact that does not want it: such messages fail with the code `contact_opted_out`.')
export type OptOutSettings = z.infer<typeof optOut>

const business = z
  .strictObject({
    about: z.string().max(2000).optional().describe('What the company does, in a sentence or two.'),
    address: z.string().max(500).optional(),
    prices: z
      .array(z.strictObject({ item: displayName, price: z.string().min(1).max(100) }))
      .max(200)
      .optional(),
    facts: z
      .array(z.strictObject({ topic: displayName, text: z.string().min(1).max(2000) }))
      .max(200)
      .optional()
      .describe('Anything else that customers ask about.'),
  })
  .describe('The facts of the company that an `ai` responder knows, with its opening hours.')
export type BusinessSettings = z.infer<typeof business>

const handoff = z
  .strictObject({
    words: keywords
      .optional()
      .describe('A message with one of these, such as `human` or `talk to a person`, hands the conversation over.'),
    text: answerText.optional().describe('What the customer is told then. Nothing unless told.'),
    waitingMs: z
      .int()
      .min(60_000)
      .max(7 * 24 * 3_600_000)
      .optional()
      .describe('When nobody takes it over in so long, the conversation goes back to the bot: 3600000 unless told.'),
    pauseMs: z
      .int()
      .min(60_000)
      .max(7 * 24 * 3_600_000)
      .optional()
      .describe(
        'So long after the last message that a person wrote, from the phone or as an agent, the conversation goes back to the bot: 1800000 unless told.',
      ),
  })
  .describe('When a person answers instead of a responder.')
export type HandoffSettings = z.infer<typeof handoff>

const quietHours = z
  .strictObject({
    timeZone,
    from: timeOfDay,
    to: timeOfDay,
    text: answerText.optional().describe('What a customer who writes meanwhile is told, once. Nothing unless told.'),
  })
  .refine(({ from, to }) => from !== to, 'must begin and end at different times')
  .describe('Every day: no responder answers then. What is written meanwhile is answered when they end.')
export type QuietHoursSettings = z.infer<typeof quietHours>

/** What a company may set for itself. Everything is optional: what is left out is the deployment's setting. */
export const companySettings = z
  .strictObject({
    batching: batching.optional(),
    responders: responderChain
      .optional()
      .describe(
        'Who answers customers: each is asked when the one before had nothing to say or failed. Nobody unless told. A conversation can have its own.',
      ),
    fallback: answerText
      .optional()
      .describe('The answer when no responder had one. Without it, such messages are not answered.'),
    business: business.optional(),
    handoff: handoff.optional(),
    quietHours: quietHours.optional(),
    ignore: z
      .array(phone)
      .max(1000)
      .optional()
      .describe('Customers who are never answered by a responder, such as suppliers and other bots.'),
    optOut: optOut.optional(),
    openingHours: openingHours.optional(),
    sessions: sessionSettings.optional().describe("For all of the company's sessions; a session's own go first."),
  })
  .meta({
    id: 'CompanySettings',
    examples: [
      {
        batching: { quietMs: 1500 },
        responders: [
          {
            kind: 'rules',
            greeting: { keywords: ['hi', 'hello'], answer: 'Hi! How can we help you?', opening: 'Hi!' },
            faq: [
              {
                question: 'Do you do balayage?',
                keywords: ['balayage'],
                answer: 'Yes, Margot does balayage on every day but Monday.',
              },
            ],
            keywords: [{ any: ['how much', 'price', 'cost'], answer: 'It is 120 € for shoulder-length hair.' }],
          },
        ],
        fallback: 'Thank you for your message! We will come back to you today.',
      },
    ],
  })
export type CompanySettings = z.infer<typeof companySettings>
