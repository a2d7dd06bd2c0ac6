import type { Company, CreatedApiKey, LinkingCode, List, MessageResource, Session } from '@frontdesk/api-contract'
import type { EmulatorControl } from 'whatsapp-emulator'
import { ApiClient } from '../api-client.ts'
import { CUSTOMER, QUESTIONS, SALON, SALON_SETTINGS } from './salon.ts'
import type { Transcript } from './transcript.ts'
import { until } from './until.ts'

export interface Demonstration {
  gatewayUrl: string
  platformKey: string
  phones: EmulatorControl
  transcript: Transcript
  signal: AbortSignal
}

/** What the newcomer needs to go on alone. */
export interface Outcome {
  session: Session
  companyKey: string
}

/**
 * The whole way of a message, as the company, its owner and its customer see it. Every step is looked for on both
 * sides, in Frontdesk's API and on the simulated phones; the first that is not seen throws.
 */
export async function holdConversation(demonstration: Demonstration): Promise<Outcome> {
  const { transcript } = demonstration
  const { companyKey, session: created } = await createSalon(demonstration)
  const api = new ApiClient(demonstration.gatewayUrl, companyKey)
  transcript.step(`${SALON.name} is a company now, with a session “${created.name}” and its own rules`)

  const session = await link(demonstration, api, created)
  transcript.step(`Online as +${session.phone}`, 'linked, encrypted, credentials sealed in Postgres')

  await ask(demonstration)
  const questions = await storedQuestions(demonstration, api)
  transcript.step('All three are stored, once each, and only then did WhatsApp hear “received”')
  const answer = await answered(demonstration, api, questions)
  await displayed(demonstration, answer)
  transcript.step('Answered once, delivered and read', 'seen in Frontdesk and on the customer’s phone')
  return { session, companyKey }
}

async function createSalon({ gatewayUrl, platformKey }: Demonstration) {
  const platform = new ApiClient(gatewayUrl, platformKey)
  const company = await platform.post<Company>('/v1/companies', { name: SALON.name, settings: SALON_SETTINGS })
  const { key } = await platform.post<CreatedApiKey>(`/v1/companies/${company.id}/api-keys`, { name: 'demo' })
  const session = await new ApiClient(gatewayUrl, key).post<Session>('/v1/sessions', { name: 'front desk' })
  return { companyKey: key, session }
}

async function link({ phones, transcript, signal }: Demonstration, api: ApiClient, session: Session): Promise<Session> {
  await api.post<Session>(`/v1/sessions/${session.id}/link`, { method: 'qr' })
  const codePath = `/v1/sessions/${session.id}/code`
  const code = await until(
    'a QR code',
    async () => {
      const { state } = await api.get<Session>(`/v1/sessions/${session.id}`)
      const code = state === 'linking' ? await api.get<LinkingCode>(codePath) : undefined
      return code?.kind === 'qr' ? code : undefined
    },
    { signal },
  )
  transcript.step('WhatsApp offers a QR code:')
  transcript.block(await api.text(`${codePath}?format=text`))
  await phones.scanQr({ phone: SALON.phone, qr: code.qr })
  transcript.step(`The owner’s phone +${SALON.phone} scans it`)
  const linked = await until(
    'the session to be online',
    async () => {
      const current = await api.get<Session>(`/v1/sessions/${session.id}`)
      return current.state === 'online' ? current : undefined
    },
    { signal },
  )
  await until(
    'the linked device on the owner’s phone',
    async () => {
      const phone = (await phones.phones()).find(({ phone }) => phone === SALON.phone)
      return phone?.devices.some((device) => device.isConnected) || undefined
    },
    { signal },
  )
  return linked
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
  const text = answer.content.kind === 'text' ? answer.content.text : ''
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
