import { z } from 'zod'
import { json } from './common.ts'
import { textContent } from './message.ts'
import { compilePattern } from './pattern.ts'
import { compileArguments } from './tool-arguments.ts'

/** The text of an answer: what a text message can hold. */
export const answerText = textContent.shape.text

/**
 * A word or phrase to look for. Letter case, accents and punctuation make no difference, and only whole words count:
 * `price` is found in "What's the PRICE?" and not in "priceless".
 */
const keyword = z
  .string()
  .max(100)
  .regex(/[\p{L}\p{N}\p{Extended_Pictographic}]/u, 'must hold at least one letter, digit or emoji')
  .meta({ examples: ['balayage'] })

export const keywords = z.array(keyword).min(1).max(50)

/** The name of a secret of the company: its value is set apart, and never shown. */
export const secretName = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,63}$/, 'must be lower-case letters, digits, - and _, beginning with a letter')
  .meta({ examples: ['openai'] })

/** An address that a company's own system listens on. Private networks are refused when it is called. */
export const companyUrl = z
  .url({ protocol: /^https?$/, error: 'must be an http or https URL', abort: true })
  .max(2000)
  .refine((url) => {
    const { username, password } = new URL(url)
    return username === '' && password === ''
  }, 'must not hold a user name or password')
  .meta({ examples: ['https://salon.example/frontdesk/answer'] })

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

/** What is common to the rules. */
const consequence = {
  answer: answerText,
  when: z
    .enum(['open', 'closed'])
    .optional()
    .describe(
      'Only while the company is open, or closed, by `openingHours`: never where these are not set. Always unless told.',
    ),
  handoff: z.boolean().optional().describe('Hands the conversation over to a person, after the answer.'),
}

const keywordRule = z.strictObject({
  any: keywords.describe('The rule applies when any of these stands in what the customer wrote.'),
  ...consequence,
})

const patternRule = z.strictObject({
  pattern: z
    .string()
    .min(1)
    .max(500)
    .describe(
      'A regular expression in the syntax of RE2, without regard to letter case: it is searched for in each message, in time that grows with its length only.',
    )
    .meta({ examples: ['order\\s+#?(\\d{4,})'] }),
  ...consequence,
})

/** Together, in steps for each character that is searched: what a customer's message can cost is bounded by it. */
const MOST_PATTERN_STEPS = 5000

const patternRules = z
  .array(patternRule)
  .max(100)
  .superRefine((rules, context) => {
    let all = 0
    for (const [place, { pattern }] of rules.entries()) {
      const { problem, steps } = compilePattern(pattern)
      all += steps
      if (problem === undefined && all <= MOST_PATTERN_STEPS) continue
      const tooMuch = `is too much: with those before it there are ${all} steps, and ${MOST_PATTERN_STEPS} are allowed`
      context.addIssue({ code: 'custom', path: [place, 'pattern'], message: problem ?? tooMuch })
      // What is refused in any case is not worth the time that all the others may take.
      return
    }
  })

const faqEntry = z.strictObject({
  question: z.string().min(1).max(500).describe('The question as people read it; it is not matched.'),
  keywords: keywords.describe('The entry applies when all of these stand in what the customer wrote, in any order.'),
  answer: answerText,
})

const noResponder = z
  .strictObject({ kind: z.literal('none') })
  .describe('Nobody answers by itself, and no one after it is asked.')

const rulesResponder = z
  .strictObject({
    kind: z.literal('rules'),
    welcome: answerText
      .optional()
      .describe('Opens the first answer that a contact ever gets, whichever responder it comes from.'),
    greeting: greeting.optional(),
    keywords: z.array(keywordRule).max(200).optional(),
    patterns: patternRules.optional(),
    faq: z.array(faqEntry).max(200).optional(),
  })
  .describe(
    'Answers by keywords, patterns and frequent questions. All that apply become one answer, in the order in which the customer asked. When nothing applies, the next responder is asked.',
  )

const httpResponder = z
  .strictObject({
    kind: z.literal('http'),
    url: companyUrl.describe('Receives each burst of messages by POST; its answer is sent to the customer.'),
    secret: secretName
      .optional()
      .describe(
        'The secret, of the form `whsec_...`, that requests are signed with, as webhooks are (Standard Webhooks). Unsigned unless told.',
      ),
    timeoutMs: z.int().min(100).max(60_000).optional().describe('How long one attempt may take: 10000 unless told.'),
    retries: z
      .int()
      .min(0)
      .max(5)
      .optional()
      .describe('Further attempts after a time-out, a network error, 429 or 5xx: 2 unless told.'),
  })
  .describe("Asks the company's own system. When all attempts fail, the next responder is asked.")

const toolName = z
  .string()
  .regex(/^[a-zA-Z][a-zA-Z0-9_-]{0,63}$/, 'must be letters, digits, - and _, beginning with a letter')
  .meta({ examples: ['prices'] })

/** Headers of requests to the company's systems. */
const headers = z
  .record(
    z.string().regex(/^[A-Za-z0-9-]{1,100}$/),
    z.union([z.string().max(1000), z.strictObject({ secret: secretName })]),
  )
  .refine((all) => Object.keys(all).length <= 20, 'must be at most 20 headers')
  .describe('A value is a text, or names a secret whose value is sent.')

const toolParameters = z.record(z.string(), json).superRefine((schema, context) => {
  const refuse = (message: string) => context.addIssue({ code: 'custom', message })
  const text = JSON.stringify(schema)
  if (text.length > 10_000) return refuse('must be at most 10000 characters of JSON')
  // What refers to itself can take for ever to check.
  if (/"\$(ref|dynamicRef|recursiveRef)":/.test(text)) return refuse('must be without references to other schemas')
  const compiled = compileArguments(schema)
  return 'problem' in compiled ? refuse(compiled.problem) : undefined
})

const httpTool = z
  .strictObject({
    name: toolName.refine((name) => name !== 'hand_over', 'must not be hand_over, which is built in'),
    description: z.string().min(1).max(1000).describe('Tells the model what it gives, and when to use it.'),
    parameters: toolParameters
      .describe('A JSON Schema of an object: arguments that do not fit are refused before the system is called.')
      .meta({ examples: [{ type: 'object', properties: { service: { type: 'string' } }, required: ['service'] }] }),
    url: companyUrl.describe(
      'Receives `{turnId, callId, company, contact, arguments}` by POST, with the call as `Idempotency-Key`. What it answers, as JSON or text, is handed to the model.',
    ),
    headers: headers.optional(),
    timeoutMs: z.int().min(100).max(30_000).optional().describe('10000 unless told.'),
  })
  .describe("A function of the company's own system.")
export type HttpToolSettings = z.infer<typeof httpTool>

const mcpServer = z
  .strictObject({
    name: toolName,
    url: companyUrl.describe(
      'Streamable HTTP. The deployment must allow its host (setting `mcpServers`): otherwise it is not called.',
    ),
    headers: headers.optional(),
    tools: z.array(z.string().min(1).max(128)).min(1).max(50).describe('Only these of its tools can be used.'),
  })
  .describe('A server of the Model Context Protocol.')
export type McpServerSettings = z.infer<typeof mcpServer>

const aiLimits = z
  .strictObject({
    steps: z.int().min(1).max(20).optional().describe('Calls of the model for one answer: 6 unless told.'),
    turnsPerConversation: z.int().min(1).max(10_000).optional().describe('Since it was opened: 50 unless told.'),
    turnsPerDay: z
      .int()
      .min(1)
      .max(1_000_000)
      .optional()
      .describe('Of the company, in a day of UTC: 2000 unless told.'),
    costPerConversation: z
      .number()
      .positive()
      .max(10_000)
      .optional()
      .describe('In the currency of the price: 1 unless told.'),
    costPerDay: z
      .number()
      .positive()
      .max(1_000_000)
      .optional()
      .describe('Of the company, in a day of UTC: 20 unless told.'),
  })
  .describe('When one is reached, the model is not asked: the next responder is, or a person.')

const aiPrice = z
  .strictObject({
    inputPerMillion: z.number().min(0).max(100_000),
    outputPerMillion: z.number().min(0).max(100_000),
  })
  .describe(
    'What a million tokens cost. Known models need none; of an unknown model without a price, no cost is counted.',
  )
export type AiPrice = z.infer<typeof aiPrice>

const namedApart = <Named extends { name: string }>(list: z.ZodType<Named[]>) =>
  list.refine((all) => new Set(all.map(({ name }) => name)).size === all.length, 'must have different names')

const aiResponder = z
  .strictObject({
    kind: z.literal('ai'),
    baseUrl: companyUrl
      .optional()
      .describe('An endpoint that is compatible with that of OpenAI: `https://api.openai.com/v1` unless told.'),
    model: z
      .string()
      .min(1)
      .max(200)
      .meta({ examples: ['gpt-4.1-mini'] }),
    apiKey: secretName.optional().describe('The secret that holds the key of the endpoint.'),
    instructions: z
      .string()
      .max(20_000)
      .optional()
      .describe(
        'How it speaks and what it must know, beyond the facts of the company. It is always told to keep to the business.',
      ),
    tools: namedApart(z.array(httpTool).max(30)).optional(),
    mcpServers: namedApart(z.array(mcpServer).max(5)).optional(),
    memoryTokens: z
      .int()
      .min(0)
      .max(100_000)
      .optional()
      .describe('How much of the conversation before is told to the model: 4000 tokens unless told.'),
    maxOutputTokens: z.int().min(16).max(16_000).optional().describe('Of one call of the model: 1000 unless told.'),
    temperature: z.number().min(0).max(2).optional(),
    timeoutMs: z.int().min(1000).max(300_000).optional().describe('For the whole answer: 60000 unless told.'),
    limits: aiLimits.optional(),
    price: aiPrice.optional(),
  })
  .describe(
    'Asks a language model, which knows the facts of the company and the conversation, and may use tools. When it fails, the next responder is asked.',
  )

export const responderSettings = z
  .discriminatedUnion('kind', [noResponder, rulesResponder, httpResponder, aiResponder])
  .meta({ id: 'Responder', description: 'Who answers customers.' })
export type ResponderSettings = z.infer<typeof responderSettings>
export type RulesResponderSettings = z.infer<typeof rulesResponder>
export type HttpResponderSettings = z.infer<typeof httpResponder>
export type AiResponderSettings = z.infer<typeof aiResponder>

/** Who answers: each is asked when the one before had nothing to say or failed. */
export const responderChain = z.array(responderSettings).min(1).max(5)
