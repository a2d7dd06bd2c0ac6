import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { aborted } from '../shutdown-signal.ts'
import { holdAssistedConversation } from './assisted-conversation.ts'
import { holdConversation } from './conversation.ts'
import { startEmulatorProcess } from './emulator-process.ts'
import { CUSTOMER, SALON } from './salon.ts'
import { type RealModel, startSalonAssistant } from './salon-assistant.ts'
import { Transcript } from './transcript.ts'

/** What the demonstration needs of a gateway. */
interface DemoGateway extends AsyncDisposable {
  url: string
  platformKey: string | undefined
}

export interface DemoOptions {
  /** End after the transcript instead of staying up. */
  once: boolean
  /** A language model answers: an emulated one unless told. Without it, rules do. */
  ai?: { model?: RealModel }
  startGateway: (settings: {
    dataDirectory: string
    emulator: { url: string; rootKey: string }
    /** Private hosts that it may call. */
    allowedHosts: readonly string[]
  }) => Promise<DemoGateway>
  /** Aborted by Ctrl-C. */
  signal: AbortSignal
}

/** The demonstration from start to end. Whatever it started is gone when it returns or throws. */
export async function runDemo({ once, ai, startGateway, signal }: DemoOptions): Promise<void> {
  const transcript = new Transcript()
  transcript.title(
    `Frontdesk: a hair salon answers its first customer on WhatsApp${ai ? ', with a language model' : ''}`,
    'No phone and no server: a WhatsApp emulator on this machine, and the real gateway.',
  )
  await using resources = new AsyncDisposableStack()
  const dataDirectory = await mkdtemp(join(tmpdir(), 'frontdesk-demo-'))
  resources.defer(() => rm(dataDirectory, { recursive: true, force: true }))

  const { info, control } = resources.use(await startEmulatorProcess())
  transcript.step('WhatsApp emulator is up', info.pageUrl)
  signal.throwIfAborted()
  const assistant = ai && resources.use(await startSalonAssistant(ai.model))
  if (assistant !== undefined) {
    const { name, url, isEmulated } = assistant.model
    transcript.step('The salon’s own system is up, with a price list')
    transcript.step(isEmulated ? 'A model is up, emulated as well: no key, no network' : `The model is ${name}`, url)
  }
  const gateway = resources.use(
    await startGateway({ dataDirectory, emulator: info, allowedHosts: assistant?.hosts ?? [] }),
  )
  transcript.step('Frontdesk is up, with its own Postgres', gateway.url)
  signal.throwIfAborted()
  const { platformKey } = gateway
  if (platformKey === undefined) throw new Error('A new gateway must bring a platform key.')

  await control.configure({ receipts: 'read', readDelayMs: 400 })
  await control.setName(SALON)
  await control.setName(CUSTOMER)
  const demonstration = { gatewayUrl: gateway.url, platformKey, phones: control, transcript, signal }
  const { session, companyKey } = await (assistant === undefined
    ? holdConversation(demonstration)
    : holdAssistedConversation(demonstration, assistant))
  if (once) {
    transcript.paragraph('That was the whole way of a message. Without --once the demonstration stays up to play with.')
    return
  }

  // From now on the ticks turn blue when the newcomer opens the chat.
  await control.configure({ receipts: 'delivered' })
  transcript.paragraph('It stays up for you. Go on as the customer, or as the salon’s own software:\n')
  transcript.table([
    [`${CUSTOMER.name}’s phone`, `${info.pageUrl}#/${CUSTOMER.phone}/chat/${SALON.phone}`],
    ['All phones', info.pageUrl],
    ['API', `${gateway.url}/docs`],
    ['API key', companyKey],
  ])
  if (assistant !== undefined) {
    transcript.paragraph(`Ask for the prices, or for a person. Why it answered as it did:

  curl ${gateway.url}/v1/turns -H 'Authorization: Bearer ${companyKey}'`)
  }
  transcript.paragraph(`Send a message from the salon:

  curl ${gateway.url}/v1/messages \\
    -H 'Authorization: Bearer ${companyKey}' \\
    -H 'Content-Type: application/json' \\
    -d '{"sessionId":"${session.id}","to":"${CUSTOMER.phone}","content":{"kind":"text","text":"See you on Friday at 10!"}}'

Ctrl-C ends it and leaves nothing behind.`)
  await aborted(signal)
}
