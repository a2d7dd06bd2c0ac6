import type { Logger } from 'pino'
import type { ProviderConnection } from '#src/providers/provider.ts'

/**
 * A state is never a lie: a session that is online was heard within 45 s. Its silence may last for the keep-alive
 * interval, which is 30 s at most; it is looked for so often; and a probe may take so long.
 */
const LOOK_EVERY_MS = 4_000
const PROBE_TIMEOUT_MS = 10_000

export interface WatchedSession {
  sessionId: string
  companyId: string
}

/** What the monitor needs of a connection. */
export type WatchedConnection = Pick<ProviderConnection, 'keepAliveIntervalMs' | 'lastHeardAtMs' | 'probe' | 'abandon'>

export interface HealthMonitorOptions {
  log: Logger
  /** Sessions with a message that has been in work for too long, milliseconds. */
  stuckSessions: (olderThanMs: number) => Iterable<string>
  /** Such a session was found; its connection is being replaced. */
  onStuck: (session: WatchedSession) => void
  /** A session that was found stuck has held for so long that nothing of it can be stuck any more. */
  onFlowing: (session: WatchedSession) => void
}

interface Watched {
  session: WatchedSession
  connection: WatchedConnection
  sinceMs: number
}

/** Longer than everything that a message's way may take together: looking devices up, encrypting, WhatsApp's answer. */
const STUCK_MS = 120_000

/**
 * Watches the sessions that are online in this process: asks those that have fallen silent for a sign of life, and has
 * a new connection made for those that are dead although their socket is open, and for those whose lane is stuck.
 */
export class HealthMonitor implements Disposable {
  readonly #options: HealthMonitorOptions
  readonly #connections = new Map<string, Watched>()
  /** Found stuck, and not well again yet. Bounded by the sessions of this process. */
  readonly #stuck = new Set<string>()
  /** Being asked now. A connection that ends meanwhile leaves by itself. */
  readonly #probing = new WeakSet<WatchedConnection>()
  readonly #timer: NodeJS.Timeout

  constructor(options: HealthMonitorOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS)
    this.#timer.unref()
  }

  online(session: WatchedSession, connection: WatchedConnection): void {
    this.#connections.set(session.sessionId, { session, connection, sinceMs: performance.now() })
  }

  offline(sessionId: string): void {
    this.#connections.delete(sessionId)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#connections.clear()
  }

  #look(): void {
    for (const [sessionId, { connection }] of this.#connections) {
      if (!isSilent(connection) || this.#probing.has(connection)) continue
      this.#probing.add(connection)
      void this.#probe(sessionId, connection)
    }
    const stuck = new Set(this.#options.stuckSessions(STUCK_MS))
    for (const [sessionId, watched] of this.#connections) {
      // A message that a new connection has not helped is not helped by many of them.
      if (performance.now() - watched.sinceMs < STUCK_MS) continue
      if (stuck.has(sessionId)) {
        this.#options.log.error({ sessionId }, 'A message of the session is stuck; its connection is replaced.')
        this.#stuck.add(sessionId)
        this.#options.onStuck(watched.session)
        watched.connection.abandon('unresponsive', 'A message was stuck on its way.')
      } else if (this.#stuck.delete(sessionId)) {
        this.#options.onFlowing(watched.session)
      }
    }
  }

  async #probe(sessionId: string, connection: WatchedConnection): Promise<void> {
    try {
      await connection.probe(PROBE_TIMEOUT_MS)
    } catch {
      // Anything heard since is a sign of life as well. One that has ended is nobody's business any more.
      if (!isSilent(connection) || this.#connections.get(sessionId)?.connection !== connection) return
      this.#options.log.warn({ sessionId }, 'A session has fallen silent; its connection is replaced.')
      connection.abandon(
        'unresponsive',
        `Nothing was heard, and a probe had no answer for ${PROBE_TIMEOUT_MS / 1000} s.`,
      )
    } finally {
      this.#probing.delete(connection)
    }
  }
}

const isSilent = ({ lastHeardAtMs, keepAliveIntervalMs }: WatchedConnection): boolean =>
  performance.now() - lastHeardAtMs >= keepAliveIntervalMs
