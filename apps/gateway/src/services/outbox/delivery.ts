import type { Logger } from 'pino'
import type { ErrorCode } from '#src/model/errors.ts'
import type { QueuedMessage } from '#src/model/queued-message.ts'
import { steadyNow } from '#src/model/steady-now.ts'
import { type ProviderConnection, SendError } from '#src/providers/provider.ts'
import { backoffMs } from '#src/services/lanes/backoff.ts'
import type { LaneOutcome } from '#src/services/lanes/lanes.ts'
import type { Database } from '#src/storage/database.ts'
import { fenced, type Lease, LeaseLostError } from '#src/storage/leases.ts'
import { deferMessage, endWaiting, failMessage } from '#src/storage/messages.ts'
import type { Pacing, Pause } from './pacing.ts'
import { showTyping } from './show-typing.ts'

/** A message that could not be sent so often is given up. */
const MAX_ATTEMPTS = 10
/** What has to wait for longer waits in the database, and its chat with it: memory is for what is about to go. */
export const MAX_HELD_WAIT_MS = 5000
const RESEND = { firstMs: 1000, maxMs: 60_000 }
/** WhatsApp wants fewer messages: going on at the usual pace makes it worse. */
const SLOWER = { firstMs: 60_000, maxMs: 15 * 60_000 }
const STORE_AGAIN = { firstMs: 250, maxMs: 10_000 }
/** When the connection is not open although nobody has said so yet. */
const LOOK_AGAIN_MS = 1000

/** What sending takes of a connection. */
export type SendingConnection = Pick<ProviderConnection, 'send' | 'showTyping'>

export interface DeliveryTools {
  lease: Lease
  connection: SendingConnection
  pacing: Pick<Pacing, 'admit' | 'settings' | 'throttled'>
  database: Database
  log: Logger
  /** Aborted when the connection may not be used any more. */
  signal: AbortSignal
  /** The message has left the outbox, or the connection has. */
  ended(message: QueuedMessage): void
  /** The message waits in the database until this moment. */
  deferred(message: QueuedMessage, untilMs: number): void
  leaseLost(): void
}

/** What is to be written about a message that was not acknowledged. */
type Setback =
  | { kind: 'unacknowledged' }
  | { kind: 'throttled' }
  | ({ kind: 'paced' } & Pause)
  | { kind: 'failed'; errorCode: ErrorCode; whatsappCode: string | undefined }

/**
 * One message on its way to WhatsApp's acknowledgement. That it was sent is written by the provider together with the
 * acknowledgement; what went wrong is written here, before the next attempt.
 */
export class Delivery {
  readonly message: QueuedMessage
  readonly #tools: DeliveryTools
  #attempts: number
  #nextAttemptAtMs: number
  /** Its row says that it waits: it must say otherwise before it is sent. */
  #isWaitingInRow: boolean
  #setback: Setback | undefined
  #storeFailures = 0
  #throttlings = 0
  /** The session's pace has been told of the throttling that is being written. */
  #hasSlowedDown = false

  constructor(message: QueuedMessage, tools: DeliveryTools) {
    this.message = message
    this.#tools = tools
    this.#attempts = message.attempts
    this.#nextAttemptAtMs = message.nextAttemptAt?.getTime() ?? 0
    this.#isWaitingInRow = message.nextAttemptAt !== null
  }

  /** One try. Never rejects. The lane waits with the chat's later messages until this one is through. */
  async run(): Promise<LaneOutcome> {
    const outcome = await this.#try()
    if (outcome === 'done') this.#tools.ended(this.message)
    else if (outcome.againInMs > MAX_HELD_WAIT_MS && this.#isWaitingInRow) {
      this.#tools.deferred(this.message, this.#nextAttemptAtMs)
      return 'done'
    }
    return outcome
  }

  async #try(): Promise<LaneOutcome> {
    try {
      return await this.#advance()
    } catch (err) {
      if (err instanceof LeaseLostError) {
        this.#tools.leaseLost()
        return 'done'
      }
      this.#storeFailures += 1
      this.#tools.log.warn({ err, messageId: this.message.id }, 'The outbox cannot use the database; trying again.')
      return { againInMs: backoffMs(this.#storeFailures, STORE_AGAIN) }
    }
  }

  async #advance(): Promise<LaneOutcome> {
    if (this.#tools.signal.aborted) return 'done'
    if (this.#setback !== undefined) return this.#record(this.#setback)
    const { expiresAt, to } = this.message
    if (expiresAt !== null && Date.now() >= expiresAt.getTime()) return this.#record(failed('expired'))
    if (to.phone === undefined && to.lid === undefined) return this.#record(failed('recipient_unreachable'))
    const nowMs = steadyNow()
    const waitMs = this.#nextAttemptAtMs - nowMs
    if (waitMs > 0) return { againInMs: waitMs }
    const pause = await this.#tools.pacing.admit(this.message)
    if (pause !== undefined) {
      const pauseMs = pause.untilMs - nowMs
      return pauseMs > MAX_HELD_WAIT_MS
        ? this.#record({ kind: 'paced', ...pause })
        : { againInMs: Math.max(1, pauseMs) }
    }
    if (this.#isWaitingInRow && !(await this.#endWaiting())) return 'done'
    const { isAnswer, typingMs } = this.message
    if (typingMs !== null || (isAnswer && (await this.#tools.pacing.settings()).typing)) {
      await showTyping(this.#tools, this.message)
    }
    return this.#tools.signal.aborted ? 'done' : this.#send()
  }

  /** False if it was cancelled while it waited. */
  async #endWaiting(): Promise<boolean> {
    const { database, lease } = this.#tools
    const isQueued = await fenced(database, lease, (db) => endWaiting(lease.companyId, db, this.message.id))
    this.#isWaitingInRow = false
    return isQueued
  }

  async #send(): Promise<LaneOutcome> {
    const { whatsappId, to, content } = this.message
    try {
      await this.#tools.connection.send({ whatsappId, to, content })
      return 'done'
    } catch (err) {
      const stage = err instanceof SendError ? err.stage : 'unacknowledged'
      const whatsappCode = err instanceof SendError ? err.whatsappCode : undefined
      this.#tools.log.info({ err, messageId: this.message.id, stage, whatsappCode }, 'A message was not acknowledged.')
      switch (stage) {
        case 'not_connected':
          return { againInMs: LOOK_AGAIN_MS }
        case 'unacknowledged':
          return this.#record(this.#attempts + 1 < MAX_ATTEMPTS ? { kind: 'unacknowledged' } : failed('gave_up'))
        case 'throttled':
          return this.#record({ kind: 'throttled' })
        case 'recipient_unreachable':
          return this.#record(failed('recipient_unreachable', whatsappCode))
        case 'rejected':
          return this.#record(failed('rejected_by_whatsapp', whatsappCode))
      }
    }
  }

  /** Writes what went wrong; until that has succeeded, nothing is sent. */
  async #record(setback: Setback): Promise<LaneOutcome> {
    const { database, lease, pacing } = this.#tools
    const messageId = this.message.id
    this.#setback = setback
    if (setback.kind === 'failed') {
      await fenced(database, lease, (db) => failMessage(lease.companyId, db, { messageId, ...setback }))
      return 'done'
    }
    if (setback.kind === 'throttled' && !this.#hasSlowedDown) {
      this.#hasSlowedDown = true
      await pacing.throttled()
    }
    // A message is not to blame for the pace: it does not run out of attempts by it.
    const attempts = this.#attempts + (setback.kind === 'unacknowledged' ? 1 : 0)
    const { untilMs, reason } = this.#waitAfter(setback, attempts)
    const nextAttemptAt = new Date(Math.min(untilMs, this.message.expiresAt?.getTime() ?? untilMs))
    await fenced(database, lease, (db) =>
      deferMessage(lease.companyId, db, { messageId, attempts, nextAttemptAt, waitReason: reason }),
    )
    this.#attempts = attempts
    if (setback.kind === 'throttled') this.#throttlings += 1
    this.#nextAttemptAtMs = nextAttemptAt.getTime()
    this.#isWaitingInRow = true
    this.#setback = undefined
    this.#hasSlowedDown = false
    return { againInMs: Math.max(1, this.#nextAttemptAtMs - steadyNow()) }
  }

  #waitAfter(setback: Exclude<Setback, { kind: 'failed' }>, attempts: number): Pause {
    switch (setback.kind) {
      case 'paced':
        return setback
      case 'throttled':
        return { untilMs: steadyNow() + backoffMs(this.#throttlings + 1, SLOWER), reason: 'throttled' }
      case 'unacknowledged':
        return { untilMs: steadyNow() + backoffMs(attempts, RESEND), reason: 'retry' }
    }
  }
}

const failed = (errorCode: ErrorCode, whatsappCode?: string): Setback => ({ kind: 'failed', errorCode, whatsappCode })
