import type { AnswerMessage } from '@frontdesk/api-contract'
import type { Logger } from 'pino'
import { newId } from '#src/model/ids.ts'
import { MESSAGE_LIFETIME_MS, type QueuedMessage } from '#src/model/queued-message.ts'
import type { Turn } from '#src/model/turn.ts'
import { newWhatsAppId } from '#src/model/whatsapp-id.ts'
import { backoffMs } from '#src/services/lanes/backoff.ts'
import type { LaneOutcome } from '#src/services/lanes/lanes.ts'
import type { Database } from '#src/storage/database.ts'
import { fenced, type Lease, LeaseLostError } from '#src/storage/leases.ts'
import { setOptOut } from '#src/storage/opt-outs.ts'
import { closeTurn, holdTurn, joinTurn, openTurn, readOpenTurn } from '#src/storage/turns.ts'
import { isDataError } from '#src/storage/writer/is-data-error.ts'
import type { Answer, TurnAnswerer } from './turn-answerer.ts'

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
    forget(sessionId: string, contactId: string): void
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
  #answer: Answer | undefined
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
      const heldMs = signal.aborted ? undefined : await this.#advance()
      if (heldMs !== undefined) return { againInMs: heldMs }
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
    if (this.#answer !== undefined) this.#answer = { ...this.#answer, messages: [], errorCode: 'internal' }
  }

  /** How long the turn is held, if it is not over. */
  async #advance(): Promise<number | undefined> {
    this.#turn ??= await this.#open()
    if (this.#turn === undefined) return undefined
    const stillHeldMs = (this.#turn.heldUntil?.getTime() ?? 0) - Date.now()
    if (stillHeldMs > 0) return this.#wait(stillHeldMs)
    this.#answer ??= await this.#answerTo(this.#turn)
    const { holdUntil } = this.#answer
    if (holdUntil !== undefined) {
      await this.#hold(this.#turn, this.#answer, holdUntil)
      return this.#wait(Math.max(0, holdUntil.getTime() - Date.now()))
    }
    await this.#close(this.#turn, this.#answer)
    return undefined
  }

  /** Everything is looked at anew then: others may have written in the chat, and the settings may be others. */
  #wait(heldMs: number): number {
    this.#turn = undefined
    this.#answer = undefined
    this.#queued = undefined
    return heldMs
  }

  async #answerTo(turn: Turn): Promise<Answer> {
    const isOptedOut = await this.#isOptedOut(turn)
    return await this.#tools.answerer.answer({ ...turn, isOptedOut }, this.#chat.signal)
  }

  /** Whether the customer wants no messages; what these say of it is noted. */
  async #isOptedOut(turn: Turn): Promise<boolean> {
    const { answerer, database, outbox } = this.#tools
    const isOptedOut = await answerer.optOutWish(turn)
    if (isOptedOut === undefined || isOptedOut === turn.isOptedOut) return turn.isOptedOut
    const { companyId, sessionId } = this.#chat.lease
    const contactId = turn.contact.id
    await fenced(database, this.#chat.lease, (db) => setOptOut(companyId, db, { contactId, isOptedOut }))
    if (isOptedOut) outbox.forget(sessionId, contactId)
    return isOptedOut
  }

  async #open(): Promise<Turn | undefined> {
    const { database } = this.#tools
    const { lease, contactId } = this.#chat
    const { companyId, sessionId } = lease
    if (this.#mayBeOpen) {
      const turn = await this.#readOpen(lease)
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

  /** A turn that was held until now also answers what was written meanwhile. */
  async #readOpen({ companyId, sessionId }: Lease): Promise<Turn | undefined> {
    const { database } = this.#tools
    const turn = await readOpenTurn(companyId, database.worker, this.#turnId)
    if (turn === undefined || turn.heldUntil === null || turn.heldUntil.getTime() > Date.now()) return turn
    const { contactIds, maxMessages } = this.#chat.begins()
    const joining = { turnId: turn.id, sessionId, contactIds, limit: maxMessages }
    await fenced(database, this.#chat.lease, (db) => joinTurn(companyId, db, joining))
    return await readOpenTurn(companyId, database.worker, this.#turnId)
  }

  /** Ends a turn whose messages have gone with a merge of contacts: what waits makes another one. */
  async #passOver(): Promise<void> {
    const { lease } = this.#chat
    const closing = { turnId: this.#turnId, responder: null, messages: [] }
    await fenced(this.#tools.database, lease, (db) => closeTurn(lease.companyId, db, closing))
    this.#turnId = newId()
    this.#isStored = false
  }

  async #hold(turn: Turn, { messages }: Answer, until: Date): Promise<void> {
    const { database, outbox } = this.#tools
    const { lease } = this.#chat
    const { companyId, sessionId } = lease
    this.#queued ??= messages.map((message) => queuedMessage(turn, message))
    const holding = { turnId: turn.id, until, messages: this.#queued }
    const isHeld = await fenced(database, lease, (db) => holdTurn(companyId, db, holding))
    if (isHeld) outbox.enqueue(sessionId, this.#queued)
    else outbox.refresh(sessionId)
  }

  async #close(turn: Turn, { messages, responder, errorCode, handoff, labels, usage, trace }: Answer): Promise<void> {
    const { database, outbox } = this.#tools
    const { lease } = this.#chat
    const { companyId, sessionId } = lease
    this.#queued ??= messages.map((message) => queuedMessage(turn, message))
    const closing = {
      ...{ turnId: turn.id, responder, messages: this.#queued, labels, usage, trace },
      ...(handoff && { handoff }),
      ...(errorCode && { errorCode }),
    }
    const closed = await fenced(database, lease, (db) => closeTurn(companyId, db, closing))
    if (closed?.sends === true) outbox.enqueue(sessionId, this.#queued)
    else outbox.refresh(sessionId)
  }
}

const queuedMessage = ({ contact }: Turn, { typingMs, ...content }: AnswerMessage): QueuedMessage => ({
  id: newId(),
  contactId: contact.id,
  whatsappId: newWhatsAppId(),
  to: { ...(contact.phone !== null && { phone: contact.phone }), ...(contact.lid !== null && { lid: contact.lid }) },
  content,
  typingMs: typingMs ?? null,
  attempts: 0,
  nextAttemptAt: null,
  waitReason: null,
  sendAt: null,
  expiresAt: new Date(Date.now() + MESSAGE_LIFETIME_MS),
  isAnswer: true,
})
