import type { AcceptedMessage, OutgoingContent } from '@frontdesk/api-contract'
import { FrontdeskError } from '#src/model/errors.ts'
import { newId } from '#src/model/ids.ts'
import { MESSAGE_LIFETIME_MS, type QueuedMessage } from '#src/model/queued-message.ts'
import { isBlank, sanitizeText } from '#src/model/text.ts'
import { newWhatsAppId } from '#src/model/whatsapp-id.ts'
import type { Database } from '#src/storage/database.ts'
import { type Acceptance, MessageAcceptor, type NewMessage } from '#src/storage/message-acceptor.ts'
import { cancelMessage } from '#src/storage/messages.ts'
import { AcceptBatcher } from './accept-batcher.ts'

/** A message that a company wants to have sent. */
export interface AcceptMessage {
  sessionId: string
  /** A phone number has digits only, country code first. */
  to: { phone: string } | { contactId: string }
  content: OutgoingContent
  /** The person who writes: the conversation is theirs, in the commit of the message. */
  agent?: string
  /** Not before this moment; a moment that is over means at once. */
  sendAt?: Date
  /** What is not sent by then fails. */
  expiresAt?: Date
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
  /** Told, after the commit, that a person writes in the chat now. */
  onTakenOver: (sessionId: string, contactId: string) => void
  /** Told each time that the database has no room for a message. */
  onDiskFull?: () => void
  /** Stores accepted messages; one over a connection to the database unless given. */
  acceptor?: Pick<MessageAcceptor, 'accept' | typeof Symbol.asyncDispose>
}

/**
 * Where messages to be sent come in, at any process, whoever owns their session. A message is stored before anyone is told
 * that it is accepted, with the id that all attempts to send it bear.
 */
export class MessageIntake implements AsyncDisposable {
  readonly #database: Database
  readonly #acceptor: NonNullable<MessageIntakeOptions['acceptor']>
  readonly #batcher: AcceptBatcher

  constructor({ database, onQueued, onUnknown, onTakenOver, onDiskFull, acceptor }: MessageIntakeOptions) {
    this.#database = database
    this.#acceptor = acceptor ?? new MessageAcceptor(database)
    this.#batcher = new AcceptBatcher({
      acceptor: this.#acceptor,
      onDiskFull,
      onQueued(message, acceptance) {
        if (message.agent !== undefined) onTakenOver(message.sessionId, acceptance.contactId)
        onQueued(message.sessionId, [queuedMessage(message, acceptance)])
      },
      onUnknown: (messages) => {
        for (const sessionId of new Set(messages.map((message) => message.sessionId))) onUnknown(sessionId)
      },
    })
  }

  /**
   * Resolves when the message is stored; it will be sent, or fail with an event.
   * @throws FrontdeskError `invalid_request`, `not_found`, `session_not_linked`, `session_logged_out`,
   * `idempotency_key_reused`, `unavailable`, `database_full`
   */
  async accept(companyId: string, request: AcceptMessage): Promise<AcceptedMessage> {
    const { sessionId, to, agent, idempotencyKey, requestHash } = request
    const message: NewMessage = {
      id: newId(),
      companyId,
      sessionId,
      to,
      newContactId: newId(),
      whatsappId: newWhatsAppId(),
      content: sendable(request.content),
      agent: agent === undefined ? undefined : sanitizeText(agent),
      ...whenToSend(request, Date.now()),
      idempotencyKey,
      requestHash,
    }
    return accepted(message, await this.#batcher.accept(message))
  }

  /**
   * Cancels a message that waits: it fails with the code `cancelled`. One that had left before its session went offline
   * shows as sent after all if it has arrived.
   * @throws FrontdeskError `not_found`, `message_not_cancellable`
   */
  async cancel(companyId: string, messageId: string): Promise<void> {
    const outcome = await cancelMessage(companyId, this.#database.worker, messageId)
    if (outcome === 'unknown') throw new FrontdeskError('not_found')
    if (outcome === 'not_waiting') throw new FrontdeskError('message_not_cancellable')
  }

  /** Waits for what is being stored. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#batcher.settled()
    await this.#acceptor[Symbol.asyncDispose]()
  }
}

const DAY_MS = 24 * 60 * 60 * 1000
const MAX_SCHEDULE_MS = 366 * DAY_MS
const MAX_LIFETIME_MS = 30 * DAY_MS

function whenToSend(request: AcceptMessage, nowMs: number): Pick<NewMessage, 'sendAt' | 'expiresAt'> {
  const sendAtMs = Math.max(request.sendAt?.getTime() ?? nowMs, nowMs)
  const expiresAtMs = request.expiresAt?.getTime() ?? sendAtMs + MESSAGE_LIFETIME_MS
  if (sendAtMs > nowMs + MAX_SCHEDULE_MS)
    throw new FrontdeskError('invalid_request', '`sendAt` must be at most a year ahead.')
  if (expiresAtMs <= sendAtMs)
    throw new FrontdeskError('invalid_request', '`expiresAt` must be in the future and after `sendAt`.')
  if (expiresAtMs > sendAtMs + MAX_LIFETIME_MS)
    throw new FrontdeskError('invalid_request', '`expiresAt` must be at most 30 days after the message may be sent.')
  return { sendAt: sendAtMs > nowMs ? new Date(sendAtMs) : null, expiresAt: new Date(expiresAtMs) }
}

function sendable(content: OutgoingContent): OutgoingContent {
  const text = sanitizeText(content.text)
  if (isBlank(text)) throw new FrontdeskError('invalid_request', 'The text is blank.')
  return { ...content, text }
}

const queuedMessage = (message: NewMessage, { contactId, to }: Acceptance & { kind: 'queued' }): QueuedMessage => ({
  id: message.id,
  contactId,
  whatsappId: message.whatsappId,
  to,
  content: message.content,
  attempts: 0,
  nextAttemptAt: message.sendAt,
  waitReason: message.sendAt === null ? null : 'scheduled',
  sendAt: message.sendAt,
  expiresAt: message.expiresAt,
  typingMs: null,
  isAnswer: false,
})

function accepted(message: NewMessage, acceptance: Acceptance): AcceptedMessage {
  switch (acceptance.kind) {
    case 'queued':
    case 'opted_out': {
      const { id, sessionId, whatsappId } = message
      const { contactId, createdAt } = acceptance
      const status = acceptance.kind === 'queued' ? 'queued' : 'failed'
      return { id, sessionId, contactId, whatsappId, status, createdAt: createdAt.toISOString() }
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
