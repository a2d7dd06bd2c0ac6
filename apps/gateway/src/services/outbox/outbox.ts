import type { AcceptedMessage, OutgoingContent } from '@frontdesk/api-contract'
import type { Logger } from 'pino'
import { FrontdeskError } from '#src/model/errors.ts'
import { newId } from '#src/model/ids.ts'
import type { QueuedMessage } from '#src/model/queued-message.ts'
import { isBlank, sanitizeText } from '#src/model/text.ts'
import { newWhatsAppId } from '#src/model/whatsapp-id.ts'
import type { ProviderConnection } from '#src/providers/provider.ts'
import { Lanes } from '#src/services/lanes/lanes.ts'
import type { Database } from '#src/storage/database.ts'
import { type Acceptance, MessageAcceptor, type NewMessage } from '#src/storage/message-acceptor.ts'
import { AcceptBatcher } from './accept-batcher.ts'
import type { Delivery } from './delivery.ts'
import { OutboxSweep } from './outbox-sweep.ts'
import { type OutboxSession, SessionOutbox } from './session-outbox.ts'

/** Messages on their way to WhatsApp's acknowledgement at once. */
const CONCURRENCY = 1000
/** Under load each of them waits for a commit before it leaves, hence so many. */
const CONCURRENCY_PER_SESSION = 64

/** A message that a company wants to have sent. */
export interface AcceptMessage {
  sessionId: string
  /** A phone number has digits only, country code first. */
  to: { phone: string } | { contactId: string }
  content: OutgoingContent
  /** The same key with the same request is the same message, however often it is asked for. */
  idempotencyKey?: string
  /** SHA-256 of what is asked for. */
  requestHash: Uint8Array
}

export interface OutboxOptions {
  database: Database
  log: Logger
  /** Stores accepted messages; one over a connection to the database unless given. */
  acceptor?: Pick<MessageAcceptor, 'accept' | typeof Symbol.asyncDispose>
}

/**
 * Takes messages from acceptance to WhatsApp. A message is stored before anyone is told that it is accepted, with the
 * id that all attempts to send it bear. It is sent while its session is online, in the order of acceptance within a
 * chat. What is accepted while the session is not online waits in the database.
 */
export class Outbox implements AsyncDisposable {
  readonly #options: OutboxOptions
  readonly #lanes: Lanes<Delivery>
  readonly #acceptor: NonNullable<OutboxOptions['acceptor']>
  readonly #batcher: AcceptBatcher
  readonly #sweep: OutboxSweep
  /** Of the sessions that are online here. */
  readonly #sessions = new Map<string, SessionOutbox>()

  constructor(options: OutboxOptions) {
    const { database, log } = options
    this.#options = options
    this.#lanes = new Lanes({
      concurrency: CONCURRENCY,
      concurrencyPerGroup: CONCURRENCY_PER_SESSION,
      process: (delivery) => delivery.run(),
      onError: (err) => log.error({ err }, 'A lane of the outbox failed.'),
    })
    this.#acceptor = options.acceptor ?? new MessageAcceptor(database)
    this.#batcher = new AcceptBatcher({
      acceptor: this.#acceptor,
      onQueued: (message, acceptance) => this.enqueue(message.sessionId, [queuedMessage(message, acceptance)]),
      onUnknown: (messages) => {
        for (const sessionId of new Set(messages.map((message) => message.sessionId))) this.refresh(sessionId)
      },
    })
    this.#sweep = new OutboxSweep(options, (sessionId, messageId) => {
      const session = this.#sessions.get(sessionId)
      if (session?.isKnown(messageId) === false) session.refresh()
    })
  }

  /**
   * Resolves when the message is stored; it will be sent, or fail with an event.
   * @throws FrontdeskError `invalid_request`, `not_found`, `session_not_linked`, `session_logged_out`,
   * `idempotency_key_reused`, `unavailable`
   */
  async accept(companyId: string, request: AcceptMessage): Promise<AcceptedMessage> {
    const { sessionId, to, idempotencyKey, requestHash } = request
    const message: NewMessage = {
      id: newId(),
      companyId,
      sessionId,
      to,
      newContactId: newId(),
      whatsappId: newWhatsAppId(),
      content: sendable(request.content),
      idempotencyKey,
      requestHash,
    }
    return accepted(message, await this.#batcher.accept(message))
  }

  /** The session can send from now on: what waits is sent. */
  online(session: OutboxSession, connection: Pick<ProviderConnection, 'send'>): void {
    const { sessionId } = session.lease
    const before = this.#sessions.get(sessionId)?.end()
    this.#sessions.set(
      sessionId,
      new SessionOutbox(session, connection, { ...this.#options, lanes: this.#lanes, before }),
    )
  }

  /** The session cannot send any more, for now or for good. */
  offline(sessionId: string): void {
    // A message that is just being sent is waited for when the session comes back, so that it does not overtake itself.
    void this.#sessions.get(sessionId)?.end()
  }

  /** This process owns the session no longer. */
  released(sessionId: string): void {
    void this.#sessions.get(sessionId)?.end()
    this.#sessions.delete(sessionId)
  }

  /** Messages of the session that have just been committed, in the order of acceptance. */
  enqueue(sessionId: string, messages: readonly QueuedMessage[]): void {
    this.#sessions.get(sessionId)?.enqueue(messages)
  }

  /** Messages of the session may have been committed that nobody has told of. */
  refresh(sessionId: string): void {
    this.#sessions.get(sessionId)?.refresh()
  }

  /** Sessions with a message that has been on its way for longer than so many milliseconds. */
  stuckSessions(olderThanMs: number): Iterable<string> {
    return this.#lanes.stuckGroups(olderThanMs)
  }

  /** Waits for what is on its way; what is undone waits in the database. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sweep[Symbol.asyncDispose]()
    await this.#batcher.settled()
    for (const sessionId of [...this.#sessions.keys()]) this.released(sessionId)
    await this.#lanes.idle()
    await this.#acceptor[Symbol.asyncDispose]()
  }
}

function sendable(content: OutgoingContent): OutgoingContent {
  const text = sanitizeText(content.text)
  if (isBlank(text)) throw new FrontdeskError('invalid_request', 'The text is blank.')
  return { ...content, text }
}

const queuedMessage = (
  message: NewMessage,
  { contactId, to, createdAt }: Acceptance & { kind: 'queued' },
): QueuedMessage => ({
  id: message.id,
  contactId,
  whatsappId: message.whatsappId,
  to,
  content: message.content,
  attempts: 0,
  nextAttemptAt: null,
  createdAt,
})

function accepted(message: NewMessage, acceptance: Acceptance): AcceptedMessage {
  switch (acceptance.kind) {
    case 'queued': {
      const { id, sessionId, whatsappId } = message
      const { contactId, createdAt } = acceptance
      return { id, sessionId, contactId, whatsappId, status: 'queued', createdAt: createdAt.toISOString() }
    }
    case 'repeated': {
      const { requestHash, createdAt, ...earlier } = acceptance.message
      if (Buffer.compare(requestHash, message.requestHash) !== 0) throw new FrontdeskError('idempotency_key_reused')
      return { ...earlier, createdAt: createdAt.toISOString() }
    }
    case 'session_unlinked':
      throw new FrontdeskError(acceptance.state === 'logged_out' ? 'session_logged_out' : 'session_not_linked')
    case 'session_unknown':
    case 'contact_unknown':
      throw new FrontdeskError('not_found')
    case 'unsettled':
      throw new FrontdeskError('unavailable')
  }
}
