import type { OutgoingContent } from '@frontdesk/api-contract'
import type { Logger } from 'pino'
import { MAX_ANSWER_AGE_MS } from '#src/model/answerable.ts'
import { newId } from '#src/model/ids.ts'
import { MESSAGE_LIFETIME_MS, type QueuedMessage } from '#src/model/queued-message.ts'
import type { Turn } from '#src/model/turn.ts'
import { newWhatsAppId } from '#src/model/whatsapp-id.ts'
import { backoffMs } from '#src/services/lanes/backoff.ts'
import type { LaneOutcome } from '#src/services/lanes/lanes.ts'
import type { Database } from '#src/storage/database.ts'
import { fenced, type Lease, LeaseLostError } from '#src/storage/leases.ts'
import { setOptOut } from '#src/storage/opt-outs.ts'
import { closeTurn, openTurn, readOpenTurn } from '#src/storage/turns.ts'
import { isDataError } from '#src/storage/writer/is-data-error.ts'
import type { NamedAnswer, TurnAnswerer } from './turn-answerer.ts'

const RETRY = { firstMs: 250, maxMs: 30_000 }

export interface TurnTools {
  database: Database
  answerer: TurnAnswerer
  /** Where answers go: it is told what has been committed. */
  outbox: {
    enqueue(sessionId: string, messages: readonly QueuedMessage[]): void
    /** Something may have been committed that it was not told of. */
    refresh(sessionId: string): void
    /** Messages to the contact have been taken back. */
    forget(contactId: string): void
  }
  log: Logger
}

/** The chat that a turn belongs to. */
export interface TurnChat {
  lease: Lease
  contactId: string
  /** Aborted when the session is no longer ours. */
  signal: AbortSignal
  /** The turn collects its messages now: whose, since when the first one waits, and how many at most. */
  begins(): { contactIds: readonly string[]; firstAtMs: number; maxMessages: number }
  /** Messages wait that this turn leaves behind. */
  moreWaits(contactId: string, contactIds: readonly string[], sinceMs: number): void
  /** Nothing more will come of this turn here. */
  ended(): void
  leaseLost(): void
}

/**
 * One turn from its opening to the answer in the outbox. Each step is one commit, and the next try goes on after the
 * last step that is known to be done; whether an unknown one is done, the database says.
 */
export class TurnJob {
  readonly #tools: TurnTools
  readonly #chat: TurnChat
  #turnId: string
  /** Whether the turn may be open already: left by an earlier owner, or by a commit of ours without an answer. */
  #mayBeOpen: boolean
  /** A turn of this id is stored, whatever became of it. */
  #isStored = false
  #failures = 0
  #turn: Turn | undefined
  #answer: NamedAnswer | undefined
  #queued: QueuedMessage[] | undefined

  constructor(tools: TurnTools, chat: TurnChat, turn: { id: string; isOpen: boolean }) {
    this.#tools = tools
    this.#chat = chat
    this.#turnId = turn.id
    this.#mayBeOpen = turn.isOpen
  }

  get signal(): AbortSignal {
    return this.#chat.signal
  }

  /** One try. Never rejects. */
  async run(): Promise<LaneOutcome> {
    const { signal } = this.#chat
    try {
      if (!signal.aborted) await this.#advance()
    } catch (err) {
      if (err instanceof LeaseLostError) this.#chat.leaseLost()
      if (!signal.aborted) {
        this.#failures += 1
        // A chat must not stand still for ever because of one answer that cannot be stored.
        if (isDataError(err) && this.#queued !== undefined) this.#giveUpAnswer()
        if (isDataError(err) && this.#turn === undefined) this.#isStored = true
        this.#tools.log.warn({ err, turnId: this.#turnId, failures: this.#failures }, 'A turn failed; trying again.')
        return { againInMs: backoffMs(this.#failures, RETRY) }
      }
    }
    this.#chat.ended()
    return 'done'
  }

  #giveUpAnswer(): void {
    this.#queued = []
    this.#answer = { messages: [], responder: this.#answer?.responder ?? null, errorCode: 'internal' }
  }

  async #advance(): Promise<void> {
    this.#turn ??= await this.#open()
    if (this.#turn === undefined) return
    this.#answer ??= await this.#answerTo(this.#turn)
    await this.#close(this.#turn, this.#answer)
  }

  async #answerTo(turn: Turn): Promise<NamedAnswer> {
    if (await this.#isOptedOut(turn)) return { messages: [], responder: null, errorCode: 'contact_opted_out' }
    if (isTooLate(turn)) return { messages: [], responder: null, errorCode: 'answer_too_late' }
    return await this.#tools.answerer.answer(turn, this.#chat.signal)
  }

  /** Whether the customer wants no messages; what these say of it is noted. */
  async #isOptedOut(turn: Turn): Promise<boolean> {
    const { answerer, database, outbox } = this.#tools
    const isOptedOut = await answerer.optOutWish(turn)
    if (isOptedOut === undefined || isOptedOut === turn.isOptedOut) return turn.isOptedOut
    const { lease } = this.#chat
    const contactId = turn.contact.id
    await fenced(database, lease, (db) => setOptOut(lease.companyId, db, { contactId, isOptedOut }))
    if (isOptedOut) outbox.forget(contactId)
    return isOptedOut
  }

  async #open(): Promise<Turn | undefined> {
    const { database } = this.#tools
    const { lease, contactId } = this.#chat
    const { companyId, sessionId } = lease
    if (this.#mayBeOpen) {
      const turn = await readOpenTurn(companyId, database.worker, this.#turnId)
      if (turn !== undefined) return turn
      if (this.#isStored) await this.#passOver()
    }
    const { contactIds, firstAtMs, maxMessages } = this.#chat.begins()
    this.#mayBeOpen = true
    const opening = { turnId: this.#turnId, sessionId, contactId, contactIds, limit: maxMessages }
    const [opened, turn] = await fenced(database, lease, async (db) => {
      const opened = await openTurn(companyId, db, opening)
      // What does not wait may have been taken by an earlier try that was still being stored when this one began.
      return [opened, opened.kind === 'merged' ? undefined : await readOpenTurn(companyId, db, this.#turnId)]
    })
    if (opened.kind === 'merged') this.#chat.moreWaits(opened.contactId, [...contactIds, opened.contactId], firstAtMs)
    if (opened.kind === 'opened' && opened.moreWaits) this.#chat.moreWaits(contactId, contactIds, firstAtMs)
    return turn
  }

  /** Ends a turn whose messages have gone with a merge of contacts: what waits makes another one. */
  async #passOver(): Promise<void> {
    const { lease } = this.#chat
    const closing = { turnId: this.#turnId, responder: null, messages: [] }
    await fenced(this.#tools.database, lease, (db) => closeTurn(lease.companyId, db, closing))
    this.#turnId = newId()
    this.#isStored = false
  }

  async #close(turn: Turn, { messages, responder, errorCode }: NamedAnswer): Promise<void> {
    const { database, outbox } = this.#tools
    const { lease } = this.#chat
    const { companyId, sessionId } = lease
    this.#queued ??= messages.map((content) => queuedMessage(turn, content))
    const closing = { turnId: turn.id, responder, messages: this.#queued, ...(errorCode && { errorCode }) }
    const isClosed = await fenced(database, lease, (db) => closeTurn(companyId, db, closing))
    if (isClosed) outbox.enqueue(sessionId, this.#queued)
    else outbox.refresh(sessionId)
  }
}

const isTooLate = ({ messages }: Turn): boolean =>
  messages.every(({ sentAt }) => Date.now() - sentAt.getTime() > MAX_ANSWER_AGE_MS)

const queuedMessage = ({ contact }: Turn, content: OutgoingContent): QueuedMessage => ({
  id: newId(),
  contactId: contact.id,
  whatsappId: newWhatsAppId(),
  to: { ...(contact.phone !== null && { phone: contact.phone }), ...(contact.lid !== null && { lid: contact.lid }) },
  content,
  attempts: 0,
  nextAttemptAt: null,
  waitReason: null,
  sendAt: null,
  expiresAt: new Date(Date.now() + MESSAGE_LIFETIME_MS),
  isAnswer: true,
})
