import type { AcceptedMessage, OutgoingContent } from '@frontdesk/api-contract'
import { FrontdeskError } from '#src/model/errors.ts'
import { newId } from '#src/model/ids.ts'
import type { QueuedMessage } from '#src/model/queued-message.ts'
import { isBlank, sanitizeText } from '#src/model/text.ts'
import { newWhatsAppId } from '#src/model/whatsapp-id.ts'
import type { Database } from '#src/storage/database.ts'
import { type Acceptance, MessageAcceptor, type NewMessage } from '#src/storage/message-acceptor.ts'
import { AcceptBatcher } from './accept-batcher.ts'

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

export interface MessageIntakeOptions {
  database: Database
  /** Told of messages that have just been committed, in the order of acceptance: the session's owner sends them. */
  onQueued: (sessionId: string, messages: readonly QueuedMessage[]) => void
  /** Told of sessions with messages of which it is not known whether they are committed. */
  onUnknown: (sessionId: string) => void
  /** Stores accepted messages; one over a connection to the database unless given. */
  acceptor?: Pick<MessageAcceptor, 'accept' | typeof Symbol.asyncDispose>
}

/**
 * Where messages to be sent come in, at any process, whoever owns their session. A message is stored before anyone is told
 * that it is accepted, with the id that all attempts to send it bear.
 */
export class MessageIntake implements AsyncDisposable {
  readonly #acceptor: NonNullable<MessageIntakeOptions['acceptor']>
  readonly #batcher: AcceptBatcher

  constructor({ database, onQueued, onUnknown, acceptor }: MessageIntakeOptions) {
    this.#acceptor = acceptor ?? new MessageAcceptor(database)
    this.#batcher = new AcceptBatcher({
      acceptor: this.#acceptor,
      onQueued: (message, acceptance) => onQueued(message.sessionId, [queuedMessage(message, acceptance)]),
      onUnknown: (messages) => {
        for (const sessionId of new Set(messages.map((message) => message.sessionId))) onUnknown(sessionId)
      },
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

  /** Waits for what is being stored. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#batcher.settled()
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
