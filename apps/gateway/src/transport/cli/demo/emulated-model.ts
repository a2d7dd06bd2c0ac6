import {
  type ChatMessage,
  type ChatRequest,
  type ModelEmulator,
  type ModelReply,
  startModelEmulator,
  textOf,
} from 'model-emulator'

/** About what a small model takes. */
const THINKING_MS = 300
const SERVICES = ['balayage', 'haircut', 'colouring']

/** A model for those who have no key: an OpenAI-compatible server on loopback that does what a model would. */
export const startEmulatedModel = (apiKey: string): Promise<ModelEmulator> =>
  startModelEmulator({ apiKey, script: (request) => ({ ...replyTo(request), delayMs: THINKING_MS }) })

/** Uses its tools for prices and for a person, and puts into words what they return. */
function replyTo({ messages }: ChatRequest): ModelReply {
  const last = messages.at(-1)
  const question = lastLineOf(messages.findLast(({ role }) => role === 'user')).toLowerCase()
  if (last?.role === 'tool') return { text: priceInWords(question, textOf(last)) }
  if (/person|human|somebody|someone/.test(question)) {
    const reason = 'Wants advice from a person on hair that was dyed at home.'
    return {
      toolCalls: [
        { name: 'hand_over', arguments: { reason, message: 'Of course! Somebody of us will answer you here.' } },
      ],
    }
  }
  const service = SERVICES.find((each) => question.includes(each))
  if (service !== undefined) return { toolCalls: [{ name: 'prices', arguments: { service } }] }
  return {
    text: 'I can tell you our prices for balayage, haircuts and colouring, or ask somebody of us to answer you.',
  }
}

function priceInWords(question: string, result: string): string {
  const { prices } = JSON.parse(result) as { prices: { service: string; price: string; takes: string }[] }
  const sentences = prices.map(({ service, price, takes }) => `Our ${service} is ${price} and takes ${takes}.`)
  return [...(question.startsWith('hi') ? ['Hi!'] : []), ...sentences].join(' ')
}

/** What a customer wrote before, and nobody answered, stands above it. */
const lastLineOf = (message: ChatMessage | undefined): string =>
  (message === undefined ? '' : textOf(message)).split('\n').at(-1) ?? ''
