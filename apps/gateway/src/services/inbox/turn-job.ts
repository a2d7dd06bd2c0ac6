import type { AnswerMessage } from '@frontdesk/api-contract'
import type { Logger } from 'pino'
import { newId } from '#src/model/ids.ts'
import { MESSAGE_LIFETIME_MS, type QueuedMessage } from '#src/model/queued-message.ts'
import type { Turn } from '#src/model/turn.ts'
import { newWhatsAppId } from '#src/model/whatsapp-id.ts'
import { backoffMs } from '#src/services/lanes/backoff.ts'
import type { LaneOutcome } from '#src/services/lanes/lanes.ts'
import { closeTurn, holdTurn } from '#src/storage/answer-turn.ts'
import type { WorkerDatabase } from '#src/storage/database.ts'
import { fenced, type Lease, LeaseLostError } from '#src/storage/leases.ts'
import { setOptOut } from '#src/storage/opt-outs.ts'
import { openTurn, readOpenTurn } from '#src/storage/turns.ts'
import { isDataError } from '#src/storage/writer/is-data-error.ts'
import type { Answer, TurnAnswerer } from './turn-answerer.ts'

const RETRY = { firstMs: 250, maxMs: 30_000 }

export interface TurnTools {
  database: WorkerDatabase
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
  /** The turn is held: it is looked at again then, or when more is written in the chat. */
  held(until: Date): void
  /** Nothing more will come of this job. */
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
  /** Calls off the responders that are being asked. */
  #asking: AbortController | undefined

  constructor(tools: TurnTools, chat: TurnChat, turn: { id: string; isOpen: boolean }) {
    this.#tools = tools
    this.#chat = chat
    this.#turnId = turn.id
    this.#mayBeOpen = turn.isOpen
  }

  get turnId(): string {
    return this.#turnId
  }

  get signal(): AbortSignal {
    return this.#chat.signal
  }

  /** Others have changed who answers in the chat: whoever is being asked is called off, and the rows decide. */
  lookAgain(): void {
    this.#asking?.abort(new Error('Who answers in this conversation has changed.'))
  }

  /** One try. Never rejects. */
  async run(): Promise<LaneOutcome> {
    const { signal } = this.#chat
    try {
      const isOver = signal.aborted || (await this.#advance())
      if (!isOver) return { againInMs: 0 }
    } catch (err) {
      if (err instanceof LeaseLostError) this.#chat.leaseLost()
      if (!signal.aborted) {
        if (this.#asking?.signal.aborted === true) return this.#startAnew()
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

  /** False if the turn is to be looked at once more. */
  async #advance(): Promise<boolean> {
    this.#turn ??= await this.#open()
    if (this.#turn === undefined) return true
    this.#answer ??= await this.#answerTo(this.#turn)
    if (this.#answer.holdUntil === undefined) {
      await this.#close(this.#turn, this.#answer)
      return true
    }
    if (await this.#hold(this.#turn, this.#answer, this.#answer.holdUntil)) return true
    this.#startAnew()
    return false
  }

  #startAnew(): LaneOutcome {
    this.#turn = undefined
    this.#answer = undefined
    this.#queued = undefined
    this.#asking = undefined
    return { againInMs: 0 }
  }

  async #answerTo(turn: Turn): Promise<Answer> {
    const isOptedOut = await this.#isOptedOut(turn)
    this.#asking = new AbortController()
    const signal = AbortSignal.any([this.#chat.signal, this.#asking.signal])
    const answer = await this.#tools.answerer.answer({ ...turn, isOptedOut }, signal)
    this.#asking = undefined
    return answer
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
    const { companyId } = lease
    if (this.#mayBeOpen) {
      const turn = await readOpenTurn(companyId, database.worker, this.#turnId)
      // One that is held takes in what has been written meanwhile.
      if (turn !== undefined && turn.heldUntil === null) return turn
      if (this.#isStored) await this.#passOver()
    }
    const { contactIds, firstAtMs, maxMessages } = this.#chat.begins()
    this.#mayBeOpen = true
    const opening = { turnId: this.#turnId, contactId, contactIds, limit: maxMessages }
    const opened = await openTurn(database.worker, lease, opening)
    // What does not wait may have been taken by an earlier try that was still being stored when this one began.
    if (opened.kind === 'opened') this.#turnId = opened.turnId
    const turn = opened.kind === 'merged' ? undefined : await readOpenTurn(companyId, database.worker, this.#turnId)
    if (opened.kind === 'merged') this.#chat.moreWaits(opened.contactId, [...contactIds, opened.contactId], firstAtMs)
    const staysHeld = (turn?.heldUntil?.getTime() ?? 0) > Date.now()
    // One that stays held and can take in no more leaves the rest to its end.
    if (opened.kind === 'opened' && opened.moreWaits && (opened.taken > 0 || !staysHeld)) {
      this.#chat.moreWaits(contactId, contactIds, firstAtMs)
    }
    return turn
  }

  /** Ends a turn whose messages have gone with a merge of contacts: what waits makes another one. */
  async #passOver(): Promise<void> {
    const { lease } = this.#chat
    const closing = { turnId: this.#turnId, responder: null, messages: [] }
    await closeTurn(this.#tools.database, lease, closing)
    this.#turnId = newId()
    this.#isStored = false
  }

  /** False if a person has come first, or the turn was not open. */
  async #hold(turn: Turn, { messages }: Answer, until: Date): Promise<boolean> {
    const { database, outbox } = this.#tools
    const { lease } = this.#chat
    const { companyId, sessionId } = lease
    this.#queued ??= messages.map((message) => queuedMessage(turn, message))
    const holding = { turnId: turn.id, until, messages: this.#queued }
    const isHeld = await fenced(database, lease, (db) => holdTurn(companyId, db, holding))
    if (isHeld) {
      outbox.enqueue(sessionId, this.#queued)
      this.#chat.held(until)
    } else outbox.refresh(sessionId)
    return isHeld
  }

  async #close(turn: Turn, { messages, responder, errorCode, handoff, labels, usage, trace }: Answer): Promise<void> {
    const { database, outbox } = this.#tools
    const { lease } = this.#chat
    this.#queued ??= messages.map((message) => queuedMessage(turn, message))
    const closing = {
      ...{ turnId: turn.id, responder, messages: this.#queued, labels, usage, trace },
      ...(handoff && { handoff }),
      ...(errorCode && { errorCode }),
    }
    const closed = await closeTurn(database, lease, closing)
    if (closed?.sends === true) outbox.enqueue(lease.sessionId, this.#queued)
    else outbox.refresh(lease.sessionId)
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
