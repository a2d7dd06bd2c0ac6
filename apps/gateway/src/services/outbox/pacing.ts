import type { WaitReason } from '@frontdesk/api-contract'
import { BoundedCache } from '#src/model/bounded-cache.ts'
import type { QueuedMessage } from '#src/model/queued-message.ts'
import { steadyNow } from '#src/model/steady-now.ts'
import type { Database } from '#src/storage/database.ts'
import type { Lease } from '#src/storage/leases.ts'
import { countNewContact, readAcquaintance, readPace, type StoredPace, storeThrottling } from '#src/storage/pacing.ts'
import { type EffectivePacing, effectivePacing } from './pacing-settings.ts'
import { TokenBucket } from './token-bucket.ts'
import { warmUpShare } from './warm-up.ts'

const DAY_MS = 24 * 60 * 60 * 1000
/** How soon a change of settings is noticed. */
const FRESH_MS = 5000
/** What answers a message of the customer's that is younger is a reply: it is never held up by the session's limits. */
const REPLY_MS = DAY_MS
/** Each refusal of WhatsApp's halves the rate, so often at most; each such time without one gives a half back. */
const MAX_HALVINGS = 4
const RECOVERY_MS = 10 * 60_000
/** The rate that is halved where none is set. */
const UNLIMITED_WHEN_THROTTLED = 60
const MAX_CONTACTS = 5000
const MAX_TURNS = 10_000
/** Turns are given out for so long ahead, and fewer than can be remembered: one that is forgotten is nobody's. */
const MAX_AHEAD_MS = 60 * 60_000
/** A turn is over then. Many pass while a session is away, and must not all be used when it is back. */
const TURN_LASTS_MS = 60_000

/** A message has to wait. */
export interface Pause {
  untilMs: number
  reason: WaitReason
}

interface Limits {
  perMinute: number
  newContactsPerDay: number
  /** What makes the rate lower than it is set. */
  reason: Extract<WaitReason, 'throttled' | 'warm_up' | 'pace'>
}

interface PacingOptions {
  lease: Lease
  database: Database
  /** What holds where neither the company nor the session has set it. */
  defaults: EffectivePacing
}

/** Says of each message of one session when it may be sent. */
export class Pacing {
  readonly #options: PacingOptions
  readonly #session = new TokenBucket({ perMinute: Number.POSITIVE_INFINITY })
  /** A chat that is at rest for so long is full again. */
  readonly #chats = new BoundedCache<TokenBucket>({ maxEntries: MAX_CONTACTS, ttlMs: 60_000 })
  /** Messages that were given their turn of the session, with its moment: they do not queue up again. */
  readonly #turns = new BoundedCache<number>({ maxEntries: MAX_TURNS, ttlMs: DAY_MS })
  /** Contacts that were talked to. */
  readonly #known = new BoundedCache<true>({ maxEntries: MAX_CONTACTS, ttlMs: DAY_MS })
  /** Until when what is sent to a contact is a reply. */
  readonly #repliesUntilMs = new BoundedCache<number>({ maxEntries: MAX_CONTACTS, ttlMs: REPLY_MS })
  #pace: { readAtMs: number; day: string; stored: StoredPace; settings: EffectivePacing } | undefined

  constructor(options: PacingOptions) {
    this.#options = options
  }

  /** The settings as they stand. Rejects when the database does. */
  async settings(): Promise<EffectivePacing> {
    return (await this.#read(steadyNow())).settings
  }

  /** Undefined: it may be sent now. Rejects when the database does; asking again is safe. */
  async admit({
    id,
    contactId,
    isAnswer,
  }: Pick<QueuedMessage, 'id' | 'contactId' | 'isAnswer'>): Promise<Pause | undefined> {
    const nowMs = steadyNow()
    const { settings } = await this.#read(nowMs)
    const limits = this.#limits(nowMs)
    const chat = this.#chatBucket(contactId, settings)
    const turnMs = this.#turns.get(id)
    if (turnMs !== undefined && turnMs + TURN_LASTS_MS > nowMs)
      return this.#awaitTurn(id, turnMs, nowMs, chat, limits.reason)
    // It comes first in its chat, so that nobody takes the chat's token before it has its turn of the session.
    const chatMs = chat.nextTurn(nowMs)
    if (chatMs > nowMs) return { untilMs: chatMs, reason: 'pace' }
    const isReply = isAnswer || (hasLimits(limits) && (await this.#isReply(contactId, nowMs)))
    if (isReply) return this.#awaitTurn(id, nowMs, nowMs, chat, limits.reason)
    this.#session.rate = { perMinute: limits.perMinute }
    const pause = (await this.#admitContact(contactId, nowMs, limits)) ?? this.#awaitEndOfLine(nowMs, limits.reason)
    return pause ?? this.#awaitTurn(id, this.#sessionTurn(nowMs), nowMs, chat, limits.reason)
  }

  /** WhatsApp has refused a message because of the pace. Rejects when the database does. */
  async throttled(): Promise<void> {
    const nowMs = steadyNow()
    const { stored } = await this.#read(nowMs)
    const { companyId, sessionId } = this.#options.lease
    stored.halvings = Math.min(MAX_HALVINGS, halvingsLeft(stored, nowMs) + 1)
    stored.throttledAt = new Date(nowMs)
    this.#session.rate = { perMinute: this.#limits(nowMs).perMinute }
    this.#session.empty(nowMs)
    // Who had a turn at the former pace queues up again.
    this.#turns.clear()
    const { halvings, throttledAt: at } = stored
    await storeThrottling(companyId, this.#options.database.worker, { sessionId, halvings, at })
  }

  #awaitTurn(id: string, turnMs: number, nowMs: number, chat: TokenBucket, reason: WaitReason): Pause | undefined {
    if (turnMs > nowMs) {
      this.#turns.set(id, turnMs)
      return { untilMs: turnMs, reason }
    }
    this.#turns.delete(id)
    chat.take(nowMs)
    return undefined
  }

  async #read(nowMs: number) {
    const { lease, database, defaults } = this.#options
    const day = new Date(nowMs).toISOString().slice(0, 10)
    const pace = this.#pace
    if (pace !== undefined && pace.day === day && Math.abs(nowMs - pace.readAtMs) < FRESH_MS) return pace
    const stored = await readPace(lease.companyId, database.worker, { sessionId: lease.sessionId, day })
    if (stored === undefined) throw new Error('The session is gone.')
    // What has been counted while it was read may not show in it.
    if (this.#pace !== pace && this.#pace?.day === day) return this.#pace
    if (pace?.day === day) stored.newContacts = Math.max(stored.newContacts, pace.stored.newContacts)
    if (pace !== undefined && timeOf(pace.stored.throttledAt) > timeOf(stored.throttledAt)) {
      stored.halvings = pace.stored.halvings
      stored.throttledAt = pace.stored.throttledAt
    }
    this.#pace = { readAtMs: nowMs, day, stored, settings: effectivePacing(defaults, ...stored.overrides) }
    return this.#pace
  }

  #limits(nowMs: number): Limits {
    if (this.#pace === undefined) throw new Error('Nothing has been read.')
    const { stored, settings } = this.#pace
    const share = warmUpShare({ linkedAtMs: stored.linkedAt.getTime(), days: settings.warmUpDays }, nowMs)
    const halvings = halvingsLeft(stored, nowMs)
    const usual = halvings > 0 ? settings.messagesPerMinute || UNLIMITED_WHEN_THROTTLED : settings.messagesPerMinute
    const perMinute = usual === 0 ? Number.POSITIVE_INFINITY : (usual * share) / 2 ** halvings
    const newContactsPerDay =
      settings.newContactsPerDay === 0
        ? Number.POSITIVE_INFINITY
        : Math.max(1, Math.floor(settings.newContactsPerDay * share))
    return { perMinute, newContactsPerDay, reason: halvings > 0 ? 'throttled' : share < 1 ? 'warm_up' : 'pace' }
  }

  async #isReply(contactId: string, nowMs: number): Promise<boolean> {
    if ((this.#repliesUntilMs.get(contactId) ?? 0) > nowMs) return true
    const { database } = this.#options
    const since = new Date(nowMs - REPLY_MS)
    const { lastInboundAt, isKnown } = await readAcquaintance(database.worker, { contactId, since })
    if (isKnown) this.#known.set(contactId, true)
    if (lastInboundAt === null) return false
    this.#repliesUntilMs.set(contactId, lastInboundAt.getTime() + REPLY_MS)
    return true
  }

  /** Counts a contact that is written to for the first time. */
  async #admitContact(contactId: string, nowMs: number, limits: Limits): Promise<Pause | undefined> {
    if (!Number.isFinite(limits.newContactsPerDay) || this.#known.get(contactId)) return undefined
    const { lease, database } = this.#options
    const { stored, day } = await this.#read(nowMs)
    // Another message may have made it known in the meantime.
    if (this.#known.get(contactId)) return undefined
    if (stored.newContacts >= limits.newContactsPerDay) {
      const midnightMs = Date.parse(day) + DAY_MS
      // Not all in the same second.
      const untilMs = midnightMs + Math.random() * 60_000
      return { untilMs, reason: limits.reason === 'warm_up' ? 'warm_up' : 'new_contacts' }
    }
    stored.newContacts += 1
    this.#known.set(contactId, true)
    await countNewContact(lease.companyId, database.worker, { sessionId: lease.sessionId, day })
    return undefined
  }

  /** So many wait for their turns that no more are given out now: whoever comes asks again when these have gone. */
  #awaitEndOfLine(nowMs: number, reason: WaitReason): Pause | undefined {
    const untilMs = this.#session.nextTurn(nowMs)
    const maxAheadMs = Math.min(MAX_AHEAD_MS, MAX_TURNS * this.#session.intervalMs)
    return untilMs > nowMs + maxAheadMs ? { untilMs, reason } : undefined
  }

  /** With a jitter of up to half an interval: machines are regular, people are not. */
  #sessionTurn(nowMs: number): number {
    const atMs = this.#session.take(nowMs)
    return atMs > nowMs ? atMs + Math.random() * (this.#session.intervalMs / 2) : atMs
  }

  #chatBucket(contactId: string, { chatMessagesPerMinute }: EffectivePacing): TokenBucket {
    const rate = { perMinute: chatMessagesPerMinute || Number.POSITIVE_INFINITY }
    const bucket = this.#chats.get(contactId) ?? new TokenBucket(rate)
    this.#chats.set(contactId, bucket)
    bucket.rate = rate
    return bucket
  }
}

const timeOf = (moment: Date | null): number => moment?.getTime() ?? 0

const hasLimits = ({ perMinute, newContactsPerDay }: Limits): boolean =>
  Number.isFinite(perMinute) || Number.isFinite(newContactsPerDay)

const halvingsLeft = ({ halvings, throttledAt }: StoredPace, nowMs: number): number => {
  const recovered =
    throttledAt === null ? halvings : Math.floor(Math.max(0, nowMs - throttledAt.getTime()) / RECOVERY_MS)
  return Math.max(0, halvings - recovered)
}
