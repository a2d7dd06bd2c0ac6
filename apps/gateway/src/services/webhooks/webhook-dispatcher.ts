import type { MessageResource } from '@frontdesk/api-contract'
import type { Logger } from 'pino'
import type { Alerts } from '#src/services/alerts/alerts.ts'
import { pause } from '#src/services/lanes/backoff.ts'
import { toMessage } from '#src/services/messages/message-reader.ts'
import type { OutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'
import type { Database, WorkerDatabase } from '#src/storage/database.ts'
import { type ClaimedDelivery, claimDeliveries, keepClaims, listDueEndpoints } from '#src/storage/delivery-claims.ts'
import type { KeyRing } from '#src/storage/key-ring.ts'
import { readMessages } from '#src/storage/message-list.ts'
import { OutcomeRecorder } from './outcome-recorder.ts'
import { type PostResult, postDelivery } from './post-delivery.ts'
import { retryPolicy } from './retry-policy.ts'
import { signDelivery } from './sign-delivery.ts'
import { webhookPayload } from './webhook-payload.ts'
import { openSecrets, validSecrets } from './webhook-secrets.ts'

/** So that a slow endpoint slows nobody else. A company has ten endpoints at most, so it can take 160 of the process. */
const MOST_OF_ENDPOINT = 16
const MOST_OF_PROCESS = 1_000
/** One claims, one stores outcomes, and now and then one looks what is due. */
const CONNECTIONS = 2
const ENDPOINTS_AT_ONCE = 200
/** More are found by looking at all. */
const MOST_WANTED = 10_000
/** Retries that are due, and wake-ups that were lost, are found so late. */
const LOOK_EVERY_MS = 1_000
/** A claim that is older is kept anew. */
const KEEP_AFTER_MS = 1_500
/** How long attempts under way may go on when the process ends. */
const GRACE_MS = 2_000

export interface WebhookDispatcherOptions {
  database: Pick<Database, 'dedicated'>
  keyRing: Pick<KeyRing, 'sealerOf'>
  urlGuard: Pick<OutgoingUrlGuard, 'check' | 'agent'>
  alerts: Pick<Alerts, 'raise' | 'clear'>
  log: Logger
  /** Of one attempt. */
  timeoutMs?: number
}

/**
 * Delivers what is due, of all companies. Several processes share the work: a delivery is claimed for a few seconds, and
 * for longer while its attempt goes on. What is in memory only says where to look; the rows are the truth.
 */
export class WebhookDispatcher implements AsyncDisposable {
  readonly #options: WebhookDispatcherOptions
  readonly #database: WorkerDatabase
  readonly #recorder: OutcomeRecorder
  readonly #timer: NodeJS.Timeout
  /** No new claims. */
  readonly #ending = new AbortController()
  /** No attempt goes on. */
  readonly #ended = new AbortController()
  /** Endpoints to look at. */
  readonly #wanted = new Set<string>()
  /** Endpoints with attempts under way: how many, and whether there may be more to do than there was room for. */
  readonly #busy = new Map<string, { attempts: number; hasMore: boolean }>()
  readonly #attempts = new Set<Promise<void>>()
  /** Deliveries with an attempt under way, by id. */
  readonly #underWay = new Map<string, { delivery: ClaimedDelivery; keptAtMs: number }>()
  #keeping: Promise<void> | undefined
  #claiming: Promise<void> | undefined
  #looking: Promise<void> | undefined

  constructor(options: WebhookDispatcherOptions) {
    this.#options = options
    const { alerts, log } = options
    this.#database = options.database.dedicated(CONNECTIONS)
    this.#recorder = new OutcomeRecorder({ database: this.#database, alerts, log, signal: this.#ended.signal })
    this.#timer = setInterval(() => {
      this.#keepClaims()
      this.lookAtAll()
    }, LOOK_EVERY_MS)
    this.#timer.unref()
  }

  /** Something may be due at this endpoint. */
  look(endpointId: string): void {
    if (this.#wanted.size < MOST_WANTED) this.#wanted.add(endpointId)
    this.#claimSoon()
  }

  /** Something may be due anywhere. */
  lookAtAll(): void {
    if (this.#ending.signal.aborted) return
    this.#looking ??= this.#findDue().finally(() => {
      this.#looking = undefined
    })
  }

  /** Attempts that are still under way after a moment are broken off, and made again by whoever comes next. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort()
    clearInterval(this.#timer)
    await Promise.all([this.#looking, this.#claiming, this.#keeping])
    const grace = new AbortController()
    await Promise.race([Promise.all(this.#attempts), pause(GRACE_MS, grace.signal)])
    grace.abort()
    this.#ended.abort()
    await Promise.all(this.#attempts)
  }

  async #findDue(): Promise<void> {
    try {
      for (const id of await listDueEndpoints(this.#database.worker)) this.look(id)
    } catch (err) {
      this.#options.log.debug({ err }, 'It could not be seen which webhook deliveries are due; looking again.')
    }
  }

  /** Most attempts are over long before that. */
  #keepClaims(): void {
    const nowMs = performance.now()
    const older = [...this.#underWay.values()].filter(({ keptAtMs }) => nowMs - keptAtMs > KEEP_AFTER_MS)
    if (older.length === 0) return
    const { log } = this.#options
    const deliveries = older.map(({ delivery }) => delivery)
    this.#keeping ??= keepClaims(this.#database.worker, deliveries)
      .then(
        () => {
          for (const each of older) each.keptAtMs = nowMs
        },
        // Then others may make the same attempts.
        (err: unknown) => log.debug({ err }, 'Claims of webhook deliveries could not be kept; trying again.'),
      )
      .finally(() => {
        this.#keeping = undefined
      })
  }

  #claimSoon(): void {
    if (this.#ending.signal.aborted) return
    this.#claiming ??= this.#claim().finally(() => {
      this.#claiming = undefined
      // What was said just now.
      if (this.#wanted.size > 0 && this.#attempts.size < MOST_OF_PROCESS) this.#claimSoon()
    })
  }

  /** One statement at a time: endpoints that are looked at meanwhile go with the next. */
  async #claim(): Promise<void> {
    // What is said in the same turn goes together.
    await Promise.resolve()
    for (
      let wanted = this.#takeWanted();
      wanted.length > 0 && !this.#ending.signal.aborted;
      wanted = this.#takeWanted()
    ) {
      try {
        const claimed = await claimDeliveries(this.#database.worker, wanted)
        const messages = await this.#messagesOf(claimed)
        for (const delivery of claimed) this.#begin(delivery, messages.get(delivery.event.subjectId ?? ''))
        const counts = Map.groupBy(claimed, ({ endpoint }) => endpoint.id)
        for (const { endpointId, room } of wanted) {
          const busy = this.#busy.get(endpointId)
          if (busy && (counts.get(endpointId)?.length ?? 0) >= room) busy.hasMore = true
        }
      } catch (err) {
        this.#options.log.warn({ err }, 'Webhook deliveries could not be claimed; looking again.')
        await pause(LOOK_EVERY_MS, this.#ending.signal)
      }
    }
  }

  /** What of the wanted endpoints there is room for. Those that have none are looked at when they have. */
  #takeWanted(): { endpointId: string; room: number }[] {
    let left = MOST_OF_PROCESS - this.#attempts.size
    const taken: { endpointId: string; room: number }[] = []
    for (const endpointId of this.#wanted) {
      if (left <= 0 || taken.length === ENDPOINTS_AT_ONCE) break
      this.#wanted.delete(endpointId)
      const busy = this.#busy.get(endpointId)
      const room = Math.min(left, MOST_OF_ENDPOINT - (busy?.attempts ?? 0))
      if (room > 0) taken.push({ endpointId, room })
      else if (busy) busy.hasMore = true
      left -= room
    }
    return taken
  }

  async #messagesOf(claimed: readonly ClaimedDelivery[]): Promise<Map<string, MessageResource>> {
    const companies = new Map(
      claimed
        .filter(({ event }) => event.type.startsWith('message.') && event.subjectId !== null)
        .map(({ event, endpoint }) => [event.subjectId ?? '', endpoint.companyId]),
    )
    if (companies.size === 0) return new Map()
    const rows = await readMessages(this.#database.worker, [...companies.keys()])
    const own = rows.filter((row) => companies.get(row.id) === row.company_id)
    return new Map(own.map((row) => [row.id, toMessage(row)]))
  }

  #begin(delivery: ClaimedDelivery, message: MessageResource | undefined): void {
    const own = this.#underWay.get(delivery.id)
    if (own !== undefined) {
      // The claim was not kept in time, and nobody else has taken it.
      Object.assign(own, { delivery, keptAtMs: performance.now() })
      return
    }
    const underWay = { delivery, keptAtMs: performance.now() }
    this.#underWay.set(delivery.id, underWay)
    const endpointId = delivery.endpoint.id
    const busy = this.#busy.get(endpointId) ?? { attempts: 0, hasMore: false }
    this.#busy.set(endpointId, busy)
    busy.attempts += 1
    const attempt = this.#attempt(underWay, message).finally(() => {
      this.#attempts.delete(attempt)
      this.#underWay.delete(delivery.id)
      busy.attempts -= 1
      if (busy.attempts === 0) this.#busy.delete(endpointId)
      // In a chat the next one was waiting for this one.
      if (busy.hasMore || delivery.endpoint.ordering === 'chat') {
        busy.hasMore = false
        this.look(endpointId)
      } else if (this.#wanted.size > 0) this.#claimSoon()
    })
    this.#attempts.add(attempt)
  }

  /** Never rejects. */
  async #attempt(underWay: { delivery: ClaimedDelivery }, message: MessageResource | undefined): Promise<void> {
    const at = new Date()
    const begunMs = performance.now()
    const result = await this.#post(underWay.delivery, message, at)
    if (result === undefined) return
    const { delivery } = underWay
    const { status, code, answer } = result
    const next = retryPolicy(delivery, result, new Date())
    const { id, companyId } = delivery.endpoint
    await this.#recorder.store({
      delivery: { id: delivery.id, claim: delivery.claim },
      endpoint: { id, companyId },
      attempt: {
        at: at.toISOString(),
        durationMs: Math.round(performance.now() - begunMs),
        ...{ status, code, answer },
      },
      ...next,
    })
  }

  /** Undefined when the process ends. */
  async #post(
    delivery: ClaimedDelivery,
    message: MessageResource | undefined,
    at: Date,
  ): Promise<PostResult | undefined> {
    const { endpoint, event } = delivery
    const { keyRing, urlGuard, timeoutMs, log } = this.#options
    try {
      const sealer = await keyRing.sealerOf(endpoint.companyId)
      const { signing, headers } = await openSecrets(sealer, endpoint.id, endpoint.secrets)
      const secrets = validSecrets(signing, at).map(({ value }) => value)
      const body = JSON.stringify(webhookPayload(delivery, message))
      return await postDelivery({
        ...{ url: endpoint.url, body, urlGuard, signal: this.#ended.signal },
        headers: { ...headers, ...signDelivery(event.id, body, { secrets, at }) },
        ...(timeoutMs !== undefined && { timeoutMs }),
      })
    } catch (err) {
      if (this.#ended.signal.aborted) return undefined
      log.error(
        { err, companyId: endpoint.companyId, endpointId: endpoint.id },
        'A webhook delivery could not be made.',
      )
      return { status: null, code: 'internal', answer: '', retryAfterMs: undefined }
    }
  }
}
