import { z } from 'zod'
import { textContent } from './message.ts'
import { openingHours } from './opening-hours.ts'
import { sessionSettings } from './session.ts'

/** The text of an answer: what a text message can hold. */
const answerText = textContent.shape.text

/**
 * A word or phrase to look for. Letter case, accents and punctuation make no difference, and only whole words count:
 * `price` is found in "What's the PRICE?" and not in "priceless".
 */
const keyword = z
  .string()
  .max(100)
  .regex(/[\p{L}\p{N}\p{Extended_Pictographic}]/u, 'must hold at least one letter, digit or emoji')
  .meta({ examples: ['balayage'] })

const keywords = z.array(keyword).min(1).max(50)

const greeting = z
  .strictObject({
    keywords: keywords.describe('Any of these is a greeting, such as `hi`, `hello`, `good morning`.'),
    answer: answerText.describe('The answer to a customer who only greets.'),
    opening: answerText
      .optional()
      .describe(
        'Stands before the other answers when the customer greets and asks in one go. Without it, they stand alone.',
      ),
  })
  .describe('How a greeting is answered.')

const keywordRule = z.strictObject({
  any: keywords.describe('The rule applies when any of these stands in what the customer wrote.'),
  answer: answerText,
})

const faqEntry = z.strictObject({
  question: z.string().min(1).max(500).describe('The question as people read it; it is not matched.'),
  keywords: keywords.describe('The entry applies when all of these stand in what the customer wrote, in any order.'),
  answer: answerText,
})

const noResponder = z.strictObject({ kind: z.literal('none') }).describe('Nobody answers by itself.')

const rulesResponder = z
  .strictObject({
    kind: z.literal('rules'),
    greeting: greeting.optional(),
    keywords: z.array(keywordRule).max(200).optional(),
    faq: z.array(faqEntry).max(200).optional(),
    fallback: answerText
      .optional()
      .describe('The answer when nothing applies. Without it, such messages are not answered.'),
  })
  .describe(
    'Answers by keywords and frequent questions. All that apply become one answer, in the order in which the customer asked.',
  )

/** An address that a company's own system listens on. Private networks are refused when it is called. */
export const companyUrl = z
  .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
  .max(2000)
  .refine((url) => {
    const { username, password } = new URL(url)
    return username === '' && password === ''
  }, 'must not hold a user name or password')
  .meta({ examples: ['https://salon.example/frontdesk/answer'] })

const httpResponder = z
  .strictObject({
    kind: z.literal('http'),
    url: companyUrl.describe('Receives each burst of messages by POST; its answer is sent to the customer.'),
    timeoutMs: z.int().min(100).max(60_000).optional().describe('How long one attempt may take: 10000 unless told.'),
    retries: z
      .int()
      .min(0)
      .max(5)
      .optional()
      .describe('Further attempts after a time-out, a network error, 429 or 5xx: 2 unless told.'),
    fallback: answerText
      .optional()
      .describe('Sent to the customer when all attempts fail. Without it, the messages are not answered then.'),
  })
  .describe("Asks the company's own system.")

export const responderSettings = z.discriminatedUnion('kind', [noResponder, rulesResponder, httpResponder])
export type ResponderSettings = z.infer<typeof responderSettings>
export type RulesResponderSettings = z.infer<typeof rulesResponder>
export type HttpResponderSettings = z.infer<typeof httpResponder>

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

/** What a company may set for itself. Everything is optional: what is left out is the deployment's setting. */
export const companySettings = z
  .strictObject({
    batching: batching.optional(),
    responder: responderSettings.optional().describe('Who answers customers. Nobody unless told.'),
    optOut: optOut.optional(),
    openingHours: openingHours.optional(),
    sessions: sessionSettings.optional().describe("For all of the company's sessions; a session's own go first."),
  })
  .meta({
    id: 'CompanySettings',
    examples: [
      {
        batching: { quietMs: 1500 },
        responder: {
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
          fallback: 'Thank you for your message! We will come back to you today.',
        },
      },
    ],
  })
export type CompanySettings = z.infer<typeof companySettings>
