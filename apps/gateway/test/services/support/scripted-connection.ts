import type { OutgoingMessage, ProviderConnection } from '#src/providers/provider.ts'
import { SendError } from '#src/providers/provider.ts'
import type { OutboxSession } from '#src/services/outbox/session-outbox.ts'
import type { Database } from '#src/storage/database.ts'

type Step = (message: OutgoingMessage) => Promise<void>

/** What the customers' phones show: copies with an id already seen are dropped, as WhatsApp's clients do. */
export class CustomerPhones {
  readonly #shown = new Map<string, string>()

  receive({ whatsappId, content }: OutgoingMessage): void {
    if (!this.#shown.has(whatsappId)) this.#shown.set(whatsappId, content.text)
  }

  get texts(): string[] {
    return [...this.#shown.values()]
  }
}

/**
 * A provider's connection that acts out a script: each send takes the next step, and succeeds when there is none. Like a
 * provider it has `sent` written with the acknowledgement, through the store that it belongs to.
 */
export class ScriptedConnection implements Pick<ProviderConnection, 'send' | 'showTyping'> {
  readonly sends: OutgoingMessage[] = []
  readonly #database: Database
  readonly #sessionId: string
  readonly #phones: CustomerPhones
  readonly #script: Step[] = []
  #published = 0
  #committed: Promise<unknown> = Promise.resolve()

  constructor(database: Database, sessionId: string, phones = new CustomerPhones()) {
    this.#database = database
    this.#sessionId = sessionId
    this.#phones = phones
  }

  /** For the outbox, in place of the writer's. */
  get store(): OutboxSession['store'] {
    const published = () => this.#published
    return {
      get published() {
        return published()
      },
      committed: async () => void (await this.#committed),
    }
  }

  next(...steps: Step[]): this {
    this.#script.push(...steps)
    return this
  }

  #storeSent({ whatsappId }: OutgoingMessage, after: Promise<void> = Promise.resolve()): void {
    this.#published += 1
    this.#committed = after.then(() =>
      this.#database.worker
        .updateTable('message')
        .set({ status: 'sent', sent_at: new Date() })
        .where('session_id', '=', this.#sessionId)
        .where('direction', '=', 'outbound')
        .where('whatsapp_id', '=', whatsappId)
        .execute(),
    )
  }

  /** To whom typing was shown, when, and how many messages had been sent then. */
  readonly typings: { to: OutgoingMessage['to']; after: number; atMs: number }[] = []
  /** When each of `sends` began. */
  readonly sentAtMs: number[] = []

  async showTyping(to: OutgoingMessage['to']): Promise<void> {
    this.typings.push({ to, after: this.sends.length, atMs: performance.now() })
  }

  async send(message: OutgoingMessage): Promise<void> {
    this.sends.push(message)
    this.sentAtMs.push(performance.now())
    const step = this.#script.shift() ?? this.acknowledge
    await step(message)
  }

  /** The message arrives and the server says so. */
  readonly acknowledge: Step = async (message) => {
    this.#phones.receive(message)
    this.#storeSent(message)
    await this.#committed
  }

  /** The same, but the writer takes its time. */
  acknowledgeStoredAfter(stored: () => Promise<void>): Step {
    return async (message) => {
      this.#phones.receive(message)
      this.#storeSent(message, stored())
      await Promise.resolve()
    }
  }

  /** The message arrives, and nobody learns of it. */
  readonly loseAcknowledgement: Step = async (message) => {
    this.#phones.receive(message)
    throw new SendError('unacknowledged', 'No acknowledgement came.')
  }
}

/** Fails at this stage without anything having arrived. */
export const failAt =
  (stage: SendError['stage'], whatsappCode?: string): Step =>
  () =>
    Promise.reject(new SendError(stage, 'Scripted.', whatsappCode))

/** Waits to be told how it went. */
export function hold() {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let begun = false
  return {
    step: (async () => {
      begun = true
      await promise
    }) satisfies Step,
    hasBegun: () => begun,
    succeed: resolve,
    fail: reject,
  }
}
