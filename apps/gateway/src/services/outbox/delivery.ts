import type { Logger } from 'pino'
import type { ErrorCode } from '#src/model/errors.ts'
import type { QueuedMessage } from '#src/model/queued-message.ts'
import { type ProviderConnection, SendError } from '#src/providers/provider.ts'
import { backoffMs } from '#src/services/lanes/backoff.ts'
import type { LaneOutcome } from '#src/services/lanes/lanes.ts'
import type { Database } from '#src/storage/database.ts'
import { fenced, type Lease, LeaseLostError } from '#src/storage/leases.ts'
import { deferMessage, failMessage } from '#src/storage/messages.ts'

/** A message that could not be sent for so long, or so often, is given up: nobody wants a reminder of last week. */
const MAX_AGE_MS = 24 * 60 * 60 * 1000
const MAX_ATTEMPTS = 10
const RESEND = { firstMs: 1000, maxMs: 60_000 }
/** WhatsApp wants fewer messages: going on at the usual pace makes it worse. */
const SLOWER = { firstMs: 60_000, maxMs: 15 * 60_000 }
const STORE_AGAIN = { firstMs: 250, maxMs: 10_000 }
/** When the connection is not open although nobody has said so yet. */
const LOOK_AGAIN_MS = 1000

export interface DeliveryTools {
  lease: Lease
  connection: Pick<ProviderConnection, 'send'>
  database: Database
  log: Logger
  /** Whether the connection may still be used. */
  isOpen(): boolean
  /** The message has left the outbox, or the connection has. */
  ended(message: QueuedMessage): void
  leaseLost(): void
}

/** What is to be written about a message that was not acknowledged. */
type Setback =
  | { kind: 'deferred' }
  | { kind: 'throttled' }
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
  #setback: Setback | undefined
  #storeFailures = 0
  #throttlings = 0

  constructor(message: QueuedMessage, tools: DeliveryTools) {
    this.message = message
    this.#tools = tools
    this.#attempts = message.attempts
    this.#nextAttemptAtMs = message.nextAttemptAt?.getTime() ?? 0
  }

  /** One try. Never rejects. The lane waits with the chat's later messages until this one is through. */
  async run(): Promise<LaneOutcome> {
    const outcome = await this.#try()
    if (outcome === 'done') this.#tools.ended(this.message)
    return outcome
  }

  async #try(): Promise<LaneOutcome> {
    if (!this.#tools.isOpen()) return 'done'
    if (this.#setback !== undefined) return this.#record(this.#setback)
    const { createdAt, to } = this.message
    const nowMs = Date.now()
    if (nowMs - createdAt.getTime() > MAX_AGE_MS) return this.#record(failed('gave_up'))
    if (to.phone === undefined && to.lid === undefined) return this.#record(failed('recipient_unreachable'))
    const waitMs = this.#nextAttemptAtMs - nowMs
    if (waitMs > 0) return { againInMs: waitMs }
    return this.#send()
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
          return this.#record(this.#attempts + 1 < MAX_ATTEMPTS ? { kind: 'deferred' } : failed('gave_up'))
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
    const { database, lease, log } = this.#tools
    const messageId = this.message.id
    this.#setback = setback
    try {
      if (setback.kind === 'failed') {
        await fenced(database, lease, (db) => failMessage(lease.companyId, db, { messageId, ...setback }))
        return 'done'
      }
      const isThrottled = setback.kind === 'throttled'
      // A message is not to blame for the pace: it does not run out of attempts by it.
      const attempts = this.#attempts + (isThrottled ? 0 : 1)
      const waitMs = isThrottled ? backoffMs(this.#throttlings + 1, SLOWER) : backoffMs(attempts, RESEND)
      const nextAttemptAt = new Date(Date.now() + waitMs)
      await fenced(database, lease, (db) => deferMessage(lease.companyId, db, { messageId, attempts, nextAttemptAt }))
      this.#attempts = attempts
      if (isThrottled) this.#throttlings += 1
      this.#nextAttemptAtMs = nextAttemptAt.getTime()
      this.#setback = undefined
      return { againInMs: waitMs }
    } catch (err) {
      if (err instanceof LeaseLostError) {
        this.#tools.leaseLost()
        return 'done'
      }
      this.#storeFailures += 1
      log.warn({ err, messageId }, 'A failed attempt could not be stored; trying again.')
      return { againInMs: backoffMs(this.#storeFailures, STORE_AGAIN) }
    }
  }
}

const failed = (errorCode: ErrorCode, whatsappCode?: string): Setback => ({ kind: 'failed', errorCode, whatsappCode })
