import type { List, MessageResource } from '@frontdesk/api-contract'
import { ApiClient } from '../api-client.ts'
import { createSalon, type Demonstration, linkSalon, type OpenedSalon } from './open-salon.ts'
import { CUSTOMER, QUESTIONS, SALON, SALON_SETTINGS } from './salon.ts'
import { textOf } from './text-of.ts'
import { until } from './until.ts'

/**
 * The whole way of a message, as the company, its owner and its customer see it. Every step is looked for on both
 * sides, in Frontdesk's API and on the simulated phones; the first that is not seen throws.
 */
export async function holdConversation(demonstration: Demonstration): Promise<OpenedSalon> {
  const { transcript } = demonstration
  const salon = await createSalon(demonstration, SALON_SETTINGS)
  const api = new ApiClient(demonstration.gatewayUrl, salon.companyKey)
  transcript.step(`${SALON.name} is a company now, with a session “${salon.session.name}” and its own rules`)

  const session = await linkSalon(demonstration, salon, { drawsCode: true })

  await ask(demonstration)
  const questions = await storedQuestions(demonstration, api)
  transcript.step('All three are stored, once each, and only then did WhatsApp hear “received”')
  const answer = await answered(demonstration, api, questions)
  await displayed(demonstration, answer)
  transcript.step('Answered once, delivered and read', 'seen in Frontdesk and on the customer’s phone')
  return { ...salon, session }
}

async function ask({ phones, transcript }: Demonstration): Promise<void> {
  transcript.step(`${CUSTOMER.name} (+${CUSTOMER.phone}) writes three quick messages`)
  for (const text of QUESTIONS) {
    await phones.setTyping({ from: CUSTOMER.phone, to: SALON.phone, isTyping: true })
    await new Promise((resolve) => setTimeout(resolve, 350))
    await phones.sendText({ from: CUSTOMER.phone, to: SALON.phone, text })
    transcript.message(CUSTOMER.name, text, 'left')
  }
  transcript.paragraph('')
}

async function storedQuestions({ signal }: Demonstration, api: ApiClient): Promise<MessageResource[]> {
  return until(
    'the three messages in the inbox',
    async () => {
      const stored = (await messages(api)).filter(({ direction }) => direction === 'inbound')
      if (stored.length > QUESTIONS.length) throw new Error(`The inbox holds ${stored.length} messages instead of 3.`)
      return stored.length === QUESTIONS.length ? stored : undefined
    },
    { signal },
  )
}

async function answered(
  { transcript, signal }: Demonstration,
  api: ApiClient,
  questions: MessageResource[],
): Promise<MessageResource> {
  transcript.note('… Frontdesk waits for 1.5 s of quiet, so that the burst gets one answer')
  const answer = await until(
    'the answer to be read',
    async () => (await messages(api)).find(({ origin, status }) => origin === 'responder' && status === 'read'),
    { signal },
  )
  const batch = (await messages(api)).filter(({ direction }) => direction === 'inbound')
  if (batch.length !== questions.length || batch.some(({ turnId }) => turnId !== answer.turnId)) {
    throw new Error('The three messages were not answered as one batch.')
  }
  return answer
}

async function displayed({ phones, transcript, signal }: Demonstration, answer: MessageResource): Promise<void> {
  const text = textOf(answer)
  await until(
    'the answer on the customer’s phone',
    async () => {
      const [chat, ...others] = await phones.chats(CUSTOMER.phone)
      if (others.length > 0) throw new Error('The customer sees more than one chat.')
      const received = chat?.messages.filter(({ fromMe }) => !fromMe) ?? []
      const asked = chat?.messages.filter(({ fromMe }) => fromMe) ?? []
      if (received.length > 1) throw new Error('The customer got the answer more than once.')
      const isDelivered = asked.every(({ status }) => status === 'delivered' || status === 'read')
      return (received[0]?.text === text && asked.length === QUESTIONS.length && isDelivered) || undefined
    },
    { signal },
  )
  transcript.message(SALON.name, text, 'right', 'read')
  transcript.paragraph('')
}

/** The chat, oldest first. */
async function messages(api: ApiClient): Promise<MessageResource[]> {
  const { items } = await api.get<List<MessageResource>>('/v1/messages')
  return items.toReversed()
}
