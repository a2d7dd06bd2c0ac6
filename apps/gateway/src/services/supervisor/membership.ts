import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { pause } from '#src/services/lanes/backoff.ts'
import type { Database } from '#src/storage/database.ts'
import { HeartbeatConnection } from '#src/storage/heartbeat.ts'
import { beginLife, endLife, NODE_TTL_MS, type NodeLife } from '#src/storage/nodes.ts'

const BEAT_INTERVAL_MS = 1000
/** After a heartbeat that failed, the next one comes sooner. */
const AGAIN_MS = 250
/** This process takes itself for dead so much earlier than others do. */
const MARGIN_MS = 1000
const LAST_WORD_MS = 1000

export interface MembershipListener {
  /**
   * Nothing that was claimed is ours any more. Closes all sockets before it returns; resolves when nothing of the former
   * life runs here, which the next one waits for.
   */
  fenced(): Promise<void>
  /** This life has begun: sessions can be claimed. */
  began(life: NodeLife): void
  /** Sessions may have become free, or others may take some: the life of another node has ended or begun. */
  changed(): void
}

export interface MembershipOptions {
  database: Database
  nodeId: string
  log: Logger
}

/**
 * This process among those that own sessions. It tells the database that it lives; when it could not for too long, or was
 * declared dead, it lets go of everything by itself, since others may own it by now, and begins a new life. Only the
 * monotonic clock of this process and the database's clock count: a machine's clock may jump.
 */
export class Membership implements AsyncDisposable {
  readonly #database: Database
  readonly #nodeId: string
  readonly #log: Logger
  readonly #connection: HeartbeatConnection
  readonly #ending = new AbortController()
  #listener: MembershipListener | undefined
  #life: NodeLife | undefined
  /** Up to then nobody else can have taken anything over; `performance.now()` milliseconds. */
  #validUntilMs = 0
  #deadline: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  /** Since the last fence: until nothing of the former life runs any more. */
  #clearing: Promise<void> | undefined
  #lives = ''

  constructor({ database, nodeId, log }: MembershipOptions) {
    this.#database = database
    this.#nodeId = nodeId
    this.#log = log
    this.#connection = new HeartbeatConnection(database)
  }

  /** Begins the first life. Rejects when the database does. */
  async join(listener: MembershipListener): Promise<void> {
    this.#listener = listener
    await this.#begin()
    this.#running = this.#run()
  }

  /** The life that lasts, if one does. Asked before anything that only an owner may do; it is then as true as a clock can be. */
  get life(): NodeLife | undefined {
    if (this.#life !== undefined && performance.now() > this.#validUntilMs) this.#fence('no heartbeat in time')
    return this.#life
  }

  /** Ends at once, because nobody watches over this process any more: the sockets are closed first. */
  async abandon(): Promise<void> {
    const { life } = this
    this.#ending.abort()
    this.#fence('abandoned')
    // A database that is away as well is not waited for: others find out by themselves.
    if (life !== undefined) await Promise.race([endLife(this.#database.worker, life), delay(LAST_WORD_MS)])
  }

  /** Leaves, so that others take over at once. Nothing may run any more that needs the life. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort()
    clearTimeout(this.#deadline)
    await this.#running
    const life = this.#life
    this.#life = undefined
    if (life !== undefined) {
      // Without it the others find out by themselves, a little later.
      await endLife(this.#database.worker, life).catch((err: unknown) =>
        this.#log.debug({ err }, 'Leaving has failed.'),
      )
    }
    await this.#connection[Symbol.asyncDispose]()
  }

  async #run(): Promise<void> {
    while (!this.#ending.signal.aborted) {
      const { life } = this
      const isWell = await (life === undefined ? this.#begin() : this.#beat(life)).then(
        () => true,
        (err: unknown) => {
          this.#log.warn({ err }, 'A heartbeat has failed; trying again.')
          return false
        },
      )
      const isOver = this.life === undefined
      await pause(isWell && !isOver ? BEAT_INTERVAL_MS : AGAIN_MS, this.#ending.signal)
    }
  }

  async #begin(): Promise<void> {
    await this.#clearing
    if (this.#ending.signal.aborted) return
    const sentAtMs = performance.now()
    this.#life = await beginLife(this.#database.worker, this.#nodeId)
    this.#prolong(sentAtMs)
    this.#listener?.began(this.#life)
  }

  async #beat(life: NodeLife): Promise<void> {
    const sentAtMs = performance.now()
    const { isAlive, died, lives } = await this.#connection.beat(life)
    // Fenced while the answer was on its way: it is about a former life.
    if (this.life !== life) return
    if (!isAlive) {
      this.#fence('declared dead')
      return
    }
    this.#prolong(sentAtMs)
    if (died > 0) this.#log.warn({ died }, 'Nodes have not been seen in time; their sessions are free.')
    if (died > 0 || lives !== this.#lives) this.#listener?.changed()
    this.#lives = lives
  }

  /** What was sent before is what counts: the database has seen it later. */
  #prolong(sentAtMs: number): void {
    this.#validUntilMs = sentAtMs + NODE_TTL_MS - MARGIN_MS
    clearTimeout(this.#deadline)
    this.#deadline = setTimeout(() => this.life, this.#validUntilMs - performance.now() + 1)
  }

  #fence(reason: string): void {
    this.#life = undefined
    clearTimeout(this.#deadline)
    this.#clearing = this.#listener?.fenced()
    this.#log.error({ reason }, 'This process owns no session any more; its connections are closed.')
  }
}
