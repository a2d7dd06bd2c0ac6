import { isAnswerable } from '#src/model/answerable.ts'
import { newId } from '#src/model/ids.ts'
import type { ReceivedMessage } from '#src/model/session-store.ts'
import { steadyNow } from '#src/model/steady-now.ts'
import { backoffMs, pause } from '#src/services/lanes/backoff.ts'
import type { Lanes } from '#src/services/lanes/lanes.ts'
import type { WorkerDatabase } from '#src/storage/database.ts'
import type { Lease } from '#src/storage/leases.ts'
import { listOpenTurns, listWaitingChats, nextHeldUntil } from '#src/storage/waiting-turns.ts'
import { type Batch, batchClosesAtMs, batchOfOne, isFull, joinBatch, noteTyping } from './batch.ts'
import type { CompanySettingsReader } from './company-settings.ts'
import { type TurnChat, TurnJob, type TurnTools } from './turn-job.ts'

/** A session that this process owns, as far as the inbox needs to know it. */
export interface InboxSession {
  /** Stands in every write: what a stale owner writes is refused. */
  lease: Lease
}

export interface SessionInboxOptions {
  tools: TurnTools
  settings: CompanySettingsReader
  lanes: Lanes<TurnJob>
  maxChats: number
}

/** One contact's chat while messages wait for a turn or are in one. The rows are the truth; this says when to look. */
interface Chat {
  contactId: string
  /** Whose messages belong to it: the contact, and those merged into it while their messages were on their way. */
  contactIds: Set<string>
  /** Messages that no turn has taken yet. */
  batch: Batch | undefined
  /** Whether the batch's end is awaited, or its turn stands in the lane. */
  state: 'idle' | 'timing' | 'due'
  timer: NodeJS.Timeout | undefined
  /** Turns in the lane. */
  turns: Set<TurnJob>
}

/** Looks so often at least while turns are held: clocks are set, and timers are not. */
const MAX_LOOK_AGAIN_MS = 60_000

/** The chats of one session that have work: collects bursts and puts a turn for each into the chat's lane. */
export class SessionInbox {
  readonly #lease: Lease
  readonly #tools: TurnTools
  readonly #settings: CompanySettingsReader
  readonly #lanes: Lanes<TurnJob>
  readonly #maxChats: number
  readonly #chats = new Map<string, Chat>()
  readonly #ending = new AbortController()
  /** The open turns that an earlier owner has left stand in their lanes. */
  #knowsOpenTurns = false
  /** More chats wait in the database than are held here. */
  #isOverfull = false
  /** When the first turn is due that is held; its chat needs no place in memory until then. */
  #heldUntilMs = Number.POSITIVE_INFINITY
  #heldTimer: NodeJS.Timeout | undefined

  constructor({ lease }: InboxSession, { tools, settings, lanes, maxChats }: SessionInboxOptions) {
    this.#lease = lease
    this.#tools = tools
    this.#settings = settings
    this.#lanes = lanes
    this.#maxChats = maxChats
  }

  /** Aborted when the session is no longer ours. */
  get signal(): AbortSignal {
    return this.#ending.signal
  }

  /** How many chats have work that is known here. */
  get chatCount(): number {
    return this.#chats.size
  }

  receive(messages: readonly ReceivedMessage[]): void {
    const nowMs = steadyNow()
    for (const message of messages) {
      if (isAnswerable(message, nowMs)) {
        // Until then it must not get in front of them; and since it is committed, it is found among what waits.
        if (this.#knowsOpenTurns) this.arrive(message.contactId, [], batchOfOne(nowMs))
      } else if (message.origin === 'phone' && message.isHistory !== true) this.takenOver(message.contactId)
    }
  }

  /** A person may have begun to answer in the chat: who is being asked is called off, and what waits to be sent looked up. */
  takenOver(contactId: string): void {
    for (const job of this.#chats.get(contactId)?.turns ?? []) job.lookAgain()
    this.#tools.outbox.forget(contactId)
  }

  /** The customer is writing, or has stopped: a burst that waits for more goes on waiting, up to its cap. */
  typing(contactId: string, isTyping: boolean): void {
    const chat = this.#chats.get(contactId)
    if (chat?.batch === undefined || chat.state !== 'timing') return
    chat.batch = noteTyping(chat.batch, isTyping, steadyNow())
    this.#timeAnew(chat)
  }

  /** Takes up what an earlier owner has left: open turns first, then the waiting messages as if they came now. */
  async resume(): Promise<void> {
    await this.#takeUp()
  }

  /** Messages wait in the chat. */
  arrive(contactId: string, contactIds: Iterable<string>, waiting: Batch): void {
    if (this.signal.aborted) return
    if (!this.#chats.has(contactId) && this.#chats.size >= this.#maxChats) {
      this.#isOverfull = true
      return
    }
    const chat = this.#chatOf(contactId)
    for (const each of contactIds) chat.contactIds.add(each)
    const wasTyping = chat.batch?.typingUntilMs !== undefined
    // A database whose clock is ahead must not keep a customer waiting.
    const nowMs = steadyNow()
    const firstAtMs = Math.min(waiting.firstAtMs, nowMs)
    chat.batch = joinBatch(chat.batch, { ...waiting, firstAtMs, lastAtMs: Math.min(waiting.lastAtMs, nowMs) })
    if (chat.state === 'idle') {
      chat.state = 'timing'
      void this.#time(chat)
    } else if (chat.state === 'timing' && (wasTyping || isFull(chat.batch, this.#lastKnownBatching))) {
      // The burst may be over earlier than the writing let expect.
      this.#timeAnew(chat)
    }
  }

  /** Forgets everything and calls the responders off. The rows remain for the next owner. */
  end(): void {
    this.#ending.abort(new Error('The session has another owner, or none.'))
    for (const chat of this.#chats.values()) clearTimeout(chat.timer)
    clearTimeout(this.#heldTimer)
    this.#chats.clear()
    this.#lanes.drop(this.#lease.companyId, (job) => job.signal === this.signal)
  }

  async #takeUp(): Promise<void> {
    this.#isOverfull = false
    await this.#takeUpTurns()
    this.#knowsOpenTurns = true
    const { companyId, sessionId } = this.#lease
    const waiting = await this.#persistently((db) => listWaitingChats(companyId, db, sessionId, this.#maxChats))
    if (waiting?.length === this.#maxChats) this.#isOverfull = true
    for (const { contactId, contactIds, count, firstAt, lastAt } of waiting ?? []) {
      this.arrive(contactId, contactIds, { count, firstAtMs: firstAt.getTime(), lastAtMs: lastAt.getTime() })
    }
  }

  /** Open turns that nobody here works on, those that are held when they are due. */
  async #takeUpTurns(): Promise<void> {
    const { companyId, sessionId } = this.#lease
    const now = new Date()
    const limit = this.#maxChats
    const openTurns = await this.#persistently((db) => listOpenTurns(companyId, db, { sessionId, now, limit }))
    const heldUntil = await this.#persistently((db) => nextHeldUntil(companyId, db, { sessionId, now }))
    if (this.signal.aborted) return
    if (openTurns?.length === limit) this.#isOverfull = true
    if (heldUntil !== undefined) this.#awaitHeld(heldUntil)
    const inWork = new Set([...this.#chats.values()].flatMap(({ turns }) => [...turns].map(({ turnId }) => turnId)))
    for (const { id, contactId } of openTurns ?? []) {
      if (!inWork.has(id)) this.#take(this.#chatOf(contactId), { id, isOpen: true })
    }
  }

  #awaitHeld(until: Date): void {
    if (until.getTime() >= this.#heldUntilMs || this.signal.aborted) return
    this.#heldUntilMs = until.getTime()
    clearTimeout(this.#heldTimer)
    const waitMs = Math.min(Math.max(0, this.#heldUntilMs - Date.now()), MAX_LOOK_AGAIN_MS)
    this.#heldTimer = setTimeout(() => {
      this.#heldUntilMs = Number.POSITIVE_INFINITY
      void this.#takeUpTurns()
    }, waitMs)
  }

  /** Reads until it succeeds; undefined once the session has ended. */
  async #persistently<T>(read: (db: WorkerDatabase['worker']) => Promise<T>): Promise<T | undefined> {
    for (let attempt = 1; !this.signal.aborted; attempt += 1) {
      try {
        const result = await read(this.#tools.database.worker)
        return this.signal.aborted ? undefined : result
      } catch (err) {
        this.#tools.log.warn(
          { err, sessionId: this.#lease.sessionId },
          'Waiting messages could not be read; trying again.',
        )
        await pause(backoffMs(attempt, { firstMs: 250, maxMs: 10_000 }), this.signal)
      }
    }
    return undefined
  }

  #chatOf(contactId: string): Chat {
    let chat = this.#chats.get(contactId)
    if (chat === undefined) {
      chat = {
        contactId,
        contactIds: new Set([contactId]),
        batch: undefined,
        state: 'idle',
        timer: undefined,
        turns: new Set(),
      }
      this.#chats.set(contactId, chat)
    }
    return chat
  }

  get #lastKnownBatching() {
    return this.#settings.lastKnown(this.#lease.companyId).batching
  }

  /** The batch may end earlier than it is waited for. */
  #timeAnew(chat: Chat): void {
    // Without a timer it is just being found out how long to wait.
    if (chat.timer === undefined) return
    clearTimeout(chat.timer)
    chat.timer = undefined
    void this.#time(chat)
  }

  /** Waits for the batch's end, which every message can put off, and then has it answered. */
  async #time(chat: Chat): Promise<void> {
    const { batching } = await this.#settings
      .of(this.#lease.companyId)
      // The turn itself will try the database again, and say so if it fails.
      .catch(() => this.#settings.lastKnown(this.#lease.companyId))
    if (this.signal.aborted || chat.batch === undefined) return
    const waitMs = batchClosesAtMs(chat.batch, batching) - steadyNow()
    if (waitMs <= 0) {
      chat.state = 'due'
      this.#take(chat, { id: newId(), isOpen: false })
    } else {
      chat.timer = setTimeout(() => {
        chat.timer = undefined
        void this.#time(chat)
      }, waitMs)
    }
  }

  #take(chat: Chat, turn: { id: string; isOpen: boolean }): void {
    const turnChat: TurnChat = {
      lease: this.#lease,
      contactId: chat.contactId,
      signal: this.signal,
      begins: () => this.#begin(chat),
      moreWaits: (contactId, contactIds, sinceMs) => this.arrive(contactId, contactIds, batchOfOne(sinceMs)),
      held: (until) => this.#awaitHeld(until),
      ended: () => this.#leave(chat, job),
      leaseLost: () => this.end(),
    }
    const { companyId, sessionId } = this.#lease
    const job = new TurnJob(this.#tools, turnChat, turn)
    chat.turns.add(job)
    this.#lanes.add(companyId, `${sessionId}/${chat.contactId}`, job)
  }

  /** What comes from now on is the next burst, unless the turn finds it stored already. */
  #begin(chat: Chat): { contactIds: string[]; firstAtMs: number; maxMessages: number } {
    const firstAtMs = chat.batch?.firstAtMs ?? steadyNow()
    if (chat.state === 'due') {
      chat.state = 'idle'
      chat.batch = undefined
    }
    return { contactIds: [...chat.contactIds], firstAtMs, maxMessages: this.#lastKnownBatching.maxMessages }
  }

  #leave(chat: Chat, job: TurnJob): void {
    chat.turns.delete(job)
    if (chat.turns.size > 0 || chat.batch !== undefined || this.signal.aborted) return
    this.#chats.delete(chat.contactId)
    if (this.#isOverfull && this.#chats.size <= this.#maxChats / 2) {
      this.#isOverfull = false
      void this.#takeUp()
    }
  }
}
