import { setTimeout as delay } from 'node:timers/promises'
import { sql } from 'kysely'
import type { Logger } from 'pino'
import { newId } from '#src/model/ids.ts'
import { connect, connectionConfig } from './connection.ts'
import type { Database } from './database.ts'

/** Something other processes should look at now. The rows are the truth: a wake-up may get lost, and polling is the backstop. */
export interface WakeUp {
  kind: 'session' | 'command' | 'outbox' | 'company' | 'webhook' | 'chat'
  /** Of the session, of the company, or of the webhook endpoint; of a chat `session/contact`. */
  id: string
}

interface WakeUpListener {
  /** For each wake-up of another process. */
  wokenUp(wakeUp: WakeUp): void
  /** Some may have been lost, since nothing can be heard now, or could not be: look at everything. */
  missed(): void
}

/** Tells other processes what to look at, and hears it from them. */
export interface WakeUps extends AsyncDisposable {
  /** Tells all other processes, after the commit. What comes together goes out in one message. Never throws and is never awaited. */
  send(wakeUp: WakeUp): void
  /** Returns the way to stop. */
  listen(listener: WakeUpListener): () => void
}

interface WakeUpOptions {
  database: Database
  /** An address of the same database without a pooler, or with one that keeps sessions; needed where `database` is pooled. */
  directUrl: string | undefined
  log: Logger
  /** How often `missed` is called while nothing can be heard. */
  pollMs?: number
}

const CHANNEL = 'frontdesk'
/** Postgres takes 7,999. */
const MAX_NOTICE_BYTES = 7_900
/** More different ones than this come to: look at everything. */
const MAX_WAITING = 5_000
const EVERYTHING = '*'
const PING = '?'
const PING_INTERVAL_MS = 30_000
const PING_TIMEOUT_MS = 2_000
const MIN_RETRY_DELAY_MS = 100
const MAX_RETRY_DELAY_MS = 10_000

/**
 * Begins to listen, over one connection of its own. Resolves when that works, or when it is known that polling has to do
 * for now; a connection that is lost is made again.
 */
export async function openWakeUps(options: WakeUpOptions): Promise<WakeUps> {
  const wakeUps = new PostgresWakeUps(options)
  await wakeUps.start()
  return wakeUps
}

class PostgresWakeUps implements WakeUps {
  readonly #self = newId()
  readonly #database: Database
  readonly #url: string | undefined
  readonly #log: Logger
  readonly #pollMs: number
  readonly #listeners = new Set<WakeUpListener>()
  readonly #stopping = new AbortController()
  /** As they are sent: `kind:id`. */
  #waiting = new Set<string>()
  #sending: Promise<void> | undefined
  #listening: Promise<void> | undefined
  /** Set while a ping is awaited. */
  #pingHeard: (() => void) | undefined
  /** Set while nothing can be heard. */
  #polling: NodeJS.Timeout | undefined

  constructor({ database, directUrl, log, pollMs = 1_000 }: WakeUpOptions) {
    this.#database = database
    this.#url = directUrl ?? (database.isPooled ? undefined : database.url)
    this.#log = log
    this.#pollMs = pollMs
  }

  async start(): Promise<void> {
    if (this.#url === undefined) {
      this.#startPolling('the database is reached through a pooler, and DATABASE_DIRECT_URL is not set')
      return
    }
    const { promise: decided, resolve: decide } = Promise.withResolvers<void>()
    this.#listening = this.#listen(this.#url, decide)
    await decided
  }

  send({ kind, id }: WakeUp): void {
    if (this.#waiting.size >= MAX_WAITING) this.#waiting = new Set([EVERYTHING])
    if (!this.#waiting.has(EVERYTHING)) this.#waiting.add(`${kind}:${id}`)
    if (!this.#stopping.signal.aborted) this.#sending ??= this.#sendWaiting()
  }

  listen(listener: WakeUpListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    clearInterval(this.#polling)
    await this.#listening
    await this.#sending
  }

  /** One statement at a time: what comes meanwhile goes with the next. */
  async #sendWaiting(): Promise<void> {
    // What is sent in the same turn goes together.
    await Promise.resolve()
    for (let failures = 0; this.#waiting.size > 0; ) {
      const items = [...this.#waiting]
      this.#waiting = new Set()
      try {
        await this.#notify(items)
        failures = 0
      } catch (error) {
        if (this.#stopping.signal.aborted) break
        // One thing to remember, however long the database is away.
        this.#waiting = new Set([EVERYTHING])
        if (failures === 0) this.#log.warn({ reason: messageOf(error) }, 'wake-ups cannot be sent; trying again')
        await this.#pauseAfter(failures++)
      }
    }
    this.#sending = undefined
  }

  async #notify(items: readonly string[]): Promise<void> {
    await sql`
      select pg_notify(${CHANNEL}, notice) from unnest(${notices(this.#self, items)}::text[]) as notice`.execute(
      this.#database.worker,
    )
  }

  async #listen(url: string, decide: () => void): Promise<void> {
    let failures = 0
    while (!this.#stopping.signal.aborted) {
      let reason = 'the connection has ended'
      try {
        await this.#listenOnce(url, () => {
          failures = 0
          this.#stopPolling()
          decide()
        })
      } catch (error) {
        reason = messageOf(error)
      }
      if (this.#stopping.signal.aborted) break
      this.#startPolling(reason)
      decide()
      await this.#pauseAfter(failures++)
    }
    decide()
  }

  /** Resolves when the connection has ended. */
  async #listenOnce(url: string, onHeard: () => void): Promise<void> {
    const client = await connect(connectionConfig(url))
    try {
      const stopped = AbortSignal.any([this.#stopping.signal, aborted((abort) => client.once('end', abort))])
      client.on('notification', ({ payload = '' }) => this.#hear(payload))
      await client.query(`listen ${CHANNEL}`)
      while (!stopped.aborted) {
        await this.#ping(stopped)
        onHeard()
        await pause(PING_INTERVAL_MS, stopped)
      }
    } finally {
      // Without a farewell: it may be broken in a way that would keep us waiting.
      client.connection.stream.destroy()
    }
  }

  /** Sends to itself, over the pool: behind a pooler a connection may listen and never hear anything. */
  async #ping(signal: AbortSignal): Promise<void> {
    const heard = aborted((abort) => {
      this.#pingHeard = abort
    })
    await this.#notify([PING])
    await pause(PING_TIMEOUT_MS, AbortSignal.any([signal, heard]))
    if (!heard.aborted && !signal.aborted)
      throw new Error('it listens and hears nothing, as behind a transaction pooler')
  }

  #hear(notice: string): void {
    const [sender, ...items] = notice.split(' ')
    if (sender === this.#self) {
      this.#pingHeard?.()
      return
    }
    for (const item of items) {
      if (item === EVERYTHING) this.#tell((listener) => listener.missed())
      const wakeUp = readWakeUp(item)
      if (wakeUp) this.#tell((listener) => listener.wokenUp(wakeUp))
    }
  }

  #startPolling(reason: string): void {
    if (this.#polling) return
    this.#log.warn({ reason }, 'wake-ups of other processes cannot be heard; polling instead')
    this.#polling = setInterval(() => this.#tell((listener) => listener.missed()), this.#pollMs)
  }

  #stopPolling(): void {
    if (!this.#polling) return
    clearInterval(this.#polling)
    this.#polling = undefined
    this.#log.info('wake-ups of other processes are heard again')
    this.#tell((listener) => listener.missed())
  }

  #tell(tell: (listener: WakeUpListener) => void): void {
    for (const listener of this.#listeners) {
      try {
        tell(listener)
      } catch (error) {
        this.#log.error({ err: error }, 'a listener to wake-ups has failed')
      }
    }
  }

  async #pauseAfter(failures: number): Promise<void> {
    const delayMs = Math.min(MIN_RETRY_DELAY_MS * 2 ** failures, MAX_RETRY_DELAY_MS) * (0.5 + Math.random() / 2)
    await pause(delayMs, this.#stopping.signal)
  }
}

/** The items in as few notices as hold them, each with its sender. */
function notices(sender: string, items: readonly string[]): string[] {
  const packed: string[] = []
  let notice = sender
  for (const item of items) {
    if (notice.length + item.length >= MAX_NOTICE_BYTES) {
      packed.push(notice)
      notice = sender
    }
    notice += ` ${item}`
  }
  return [...packed, notice]
}

/** Undefined for what a newer version may send. */
function readWakeUp(item: string): WakeUp | undefined {
  const [kind, id] = item.split(':')
  return id !== undefined && isKind(kind) ? { kind, id } : undefined
}

const KINDS = ['session', 'command', 'outbox', 'company', 'webhook', 'chat'] satisfies WakeUp['kind'][]
const isKind = (kind: string | undefined): kind is WakeUp['kind'] => KINDS.some((known) => known === kind)

/** A signal that is aborted when `subscribe`'s callback is called. */
function aborted(subscribe: (abort: () => void) => void): AbortSignal {
  const controller = new AbortController()
  subscribe(() => controller.abort())
  return controller.signal
}

/** Resolves after the time, or when the signal is aborted. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined)
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
