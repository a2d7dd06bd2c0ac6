import type { Conversation, ConversationState, List, MessageResource, TurnDetails } from '@frontdesk/api-contract'
import { ApiClient } from '../api-client.ts'
import { createSalon, type Demonstration, linkSalon, type OpenedSalon } from './open-salon.ts'
import { CUSTOMER, SALON } from './salon.ts'
import { MODEL_SECRET, type SalonAssistant } from './salon-assistant.ts'
import { tellTurn } from './tell-turn.ts'
import { textOf } from './text-of.ts'
import { until } from './until.ts'

const OWNER = 'Lena'
/** A real model may think for a while. */
const PATIENCE_MS = 120_000

/**
 * A model answers, hands over to a person, is silent while she writes, and answers again. As in `holdConversation`, the
 * first step that is not seen on both sides throws.
 */
export async function holdAssistedConversation(
  demonstration: Demonstration,
  assistant: SalonAssistant,
): Promise<OpenedSalon> {
  const { transcript } = demonstration
  const salon = await createSalon(demonstration, assistant.settings)
  const api = new ApiClient(demonstration.gatewayUrl, salon.companyKey)
  if (assistant.modelKey !== undefined) await api.put(`/v1/secrets/${MODEL_SECRET}`, { value: assistant.modelKey })
  transcript.step(`${SALON.name} is a company now, with a model, its key as a secret, and its price list as a tool`)
  const session = await linkSalon(demonstration, salon, { drawsCode: false })
  const chat = new AssistedChat(demonstration, api)
  const turns: TurnDetails[] = []

  turns.push(await chat.ask('Hi! What does balayage cost, and how long does it take?'))
  transcript.step('The model has asked the salon’s own system for the price', toolsOf(turns[0]).join(', '))

  turns.push(await chat.ask('Sounds good! But mine was dyed at home. Can I ask a person about that?'))
  const { detail } = await chat.expectState('waiting')
  transcript.step('The model has handed over: the conversation waits for a person')
  transcript.note(`“${detail}”`)

  await chat.ownerWrites('Hi Mia, Lena here. No problem, we begin with a test strand. Saturday at 10?')
  await chat.expectState('human')
  transcript.step(`${OWNER} writes from the salon’s phone: the conversation is hers`)

  turns.push(await chat.tell('Saturday at 10 is perfect, thank you!'))
  transcript.step('The bot is silent: a person answers here')

  await chat.giveBack()
  transcript.step('The salon gives the conversation back to the bot', 'by the API, or by itself in half an hour')

  turns.push(await chat.ask('One more thing: how much is a haircut on top?'))
  transcript.step('The bot answers again', toolsOf(turns.at(-1)).join(', '))

  transcript.paragraph('Why it said what it said, turn by turn, as GET /v1/turns/{id} tells it:')
  const messages = await chat.messages()
  for (const turn of turns) tellTurn(transcript, turn, messages)
  return { ...salon, session }
}

/** The tools that were used, without the one that hands over. */
const toolsOf = (turn: TurnDetails | undefined): string[] => {
  const used = turn?.trace?.steps.flatMap(({ tools = [] }) => tools) ?? []
  if (!used.some(({ name, error }) => name === 'prices' && error === undefined)) {
    const failure = turn?.trace?.steps.map(({ code, detail }) => [code, detail].filter(Boolean).join(': ')).join(' ')
    throw new Error(`The model has not answered by looking up the price. ${failure ?? ''}`.trim())
  }
  return used.map(({ name, arguments: input }) => `${name}(${JSON.stringify(input)})`)
}

/** The chat of the customer with the salon, looked at from both sides. */
class AssistedChat {
  readonly #demonstration: Demonstration
  readonly #api: ApiClient

  constructor(demonstration: Demonstration, api: ApiClient) {
    this.#demonstration = demonstration
    this.#api = api
  }

  /** The customer writes, and the bot answers. Throws when it does not. */
  async ask(text: string): Promise<TurnDetails> {
    const { transcript } = this.#demonstration
    const turn = await this.#write(text)
    if (turn.sent.length === 0) throw new Error(`Nobody has answered: ${turn.code}.`)
    for (const id of turn.sent) {
      const message = await this.#read(id)
      await this.#displayed(message)
      transcript.message(SALON.name, textOf(message), 'right', 'read')
    }
    transcript.paragraph('')
    return turn
  }

  /** The customer writes to a person, and the bot is silent. Throws when it is not. */
  async tell(text: string): Promise<TurnDetails> {
    const turn = await this.#write(text)
    if (turn.sent.length > 0 || turn.code !== 'conversation_with_person') {
      throw new Error(`The bot was to be silent: ${turn.code}.`)
    }
    this.#demonstration.transcript.paragraph('')
    return turn
  }

  async ownerWrites(text: string): Promise<void> {
    const { phones, transcript } = this.#demonstration
    const { id } = await phones.sendText({ from: SALON.phone, to: CUSTOMER.phone, text })
    const isStored = ({ whatsappId, origin }: MessageResource) => whatsappId === id && origin === 'phone'
    const message = await this.#until('the owner’s message in Frontdesk', async () =>
      (await this.messages()).find(isStored),
    )
    await this.#displayed(message)
    transcript.message(`${OWNER}, on the salon’s phone`, text, 'right')
    transcript.paragraph('')
  }

  expectState(expected: ConversationState): Promise<Conversation> {
    return this.#until(`the conversation to be “${expected}”`, async () => {
      const conversation = await this.#conversation()
      return conversation.state === expected ? conversation : undefined
    })
  }

  async giveBack(): Promise<void> {
    const { id } = await this.#conversation()
    await this.#api.patch(`/v1/conversations/${id}`, { state: 'bot' })
  }

  async messages(): Promise<MessageResource[]> {
    return (await this.#api.get<List<MessageResource>>('/v1/messages')).items
  }

  async #conversation(): Promise<Conversation> {
    const { items } = await this.#api.get<List<Conversation>>('/v1/conversations')
    const [conversation, ...others] = items
    if (conversation === undefined || others.length > 0) throw new Error('There is to be one conversation.')
    return conversation
  }

  /** The customer writes; resolves when it is known what becomes of it. */
  async #write(text: string): Promise<TurnDetails> {
    const { phones, transcript } = this.#demonstration
    const { id } = await phones.sendText({ from: CUSTOMER.phone, to: SALON.phone, text })
    transcript.message(CUSTOMER.name, text, 'left')
    return this.#until('the turn to be over', async () => {
      const turnId = (await this.messages()).find(({ whatsappId }) => whatsappId === id)?.turnId
      const turn = turnId && (await this.#api.get<TurnDetails>(`/v1/turns/${turnId}`))
      return turn && turn.closedAt !== null ? turn : undefined
    })
  }

  /** The message, once the customer has read it. */
  #read(id: string): Promise<MessageResource> {
    return this.#until('the answer to be read', async () => {
      const message = await this.#api.get<MessageResource>(`/v1/messages/${id}`)
      return message.status === 'read' ? message : undefined
    })
  }

  async #displayed(message: MessageResource): Promise<void> {
    const { phones } = this.#demonstration
    await this.#until('the message on the customer’s phone', async () => {
      const [chat] = await phones.chats(CUSTOMER.phone)
      const shown = chat?.messages.filter(({ fromMe, text }) => !fromMe && text === textOf(message)) ?? []
      if (shown.length > 1) throw new Error('The customer got a message more than once.')
      return shown[0]
    })
  }

  #until<Value>(what: string, ask: () => Promise<Value | undefined>): Promise<Value> {
    return until(what, ask, { timeoutMs: PATIENCE_MS, signal: this.#demonstration.signal })
  }
}
