import type { LinkingCode } from '@frontdesk/api-contract'
import type { Logger } from 'pino'
import type { ContactBook } from '#src/model/contact-book.ts'
import type { DisconnectReason } from '#src/model/disconnect-reason.ts'
import { FrontdeskError } from '#src/model/errors.ts'
import { afterIncident, type SessionIncident } from '#src/model/session-state.ts'
import type { StoreFailure } from '#src/model/store-error.ts'
import type { Account, Provider, ProviderConnection, ProviderSettings } from '#src/providers/provider.ts'
import { pause } from '#src/services/lanes/backoff.ts'
import type { Database } from '#src/storage/database.ts'
import type { KeyRing } from '#src/storage/key-ring.ts'
import { claimLease, type Lease } from '#src/storage/leases.ts'
import type { SessionRow } from '#src/storage/sessions.ts'
import type { OwnedSession } from '#src/storage/writer/owned-session.ts'
import type { Writer } from '#src/storage/writer/writer.ts'
import type { ConnectSlots } from './connect-slots.ts'
import { RECONNECT_POLICY, reconnectDelayMs } from './reconnect-policy.ts'
import type { SessionListener } from './session-listener.ts'
import { StateRecorder } from './state-recorder.ts'

export interface SessionSettings extends ProviderSettings {
  reconnectDelayMs: number
  /** For a session that is not linked: it is started again by a person. A linked one never gives up. */
  maxReconnectAttempts: number
}

export interface RunnerTools {
  nodeId: string
  database: Database
  writer: Writer
  keyRing: KeyRing
  provider: Provider
  listener: SessionListener
  slots: ConnectSlots
  settings: SessionSettings
  contactsOf: (companyId: string) => ContactBook
  log: Logger
  /** Aborted when the database is not to be waited for any longer. */
  givingUp: AbortSignal
}

/** A connection that stayed up for so long was a good one: the next trouble starts with a short delay again. */
const STABLE_MS = 60_000

type StopRequest = 'stopped' | 'gateway_stopped'

/**
 * One session while it is wanted: owns its lease, keeps it connected, records its states. Ends when it is told to, when
 * somebody has to act first (a new link, a new number), or when another process owns the session.
 */
export class SessionRunner {
  readonly #tools: RunnerTools
  readonly #companyId: string
  readonly #sessionId: string
  readonly #states: StateRecorder
  readonly #stopping = new AbortController()
  #isLinked: boolean
  #connection: ProviderConnection | undefined
  #code: LinkingCode | undefined
  /** Attempts since the last good connection. */
  #attempts = 0
  /** Settles when nothing of the session runs here any more. */
  readonly ended: Promise<void>

  constructor(session: SessionRow, tools: RunnerTools) {
    this.#tools = tools
    this.#companyId = session.company_id
    this.#sessionId = session.id
    this.#isLinked = session.linked_at !== null
    this.#states = new StateRecorder(tools.database, tools.log, tools.givingUp)
    this.ended = this.#run()
  }

  /** The QR code to scan now, if there is one. */
  get linkingCode(): LinkingCode | undefined {
    return this.#code
  }

  get isStopping(): boolean {
    return this.#stopping.signal.aborted
  }

  /** Closes the connection. Resolves when the session's last state is stored. */
  async stop(request: StopRequest): Promise<void> {
    this.#stopping.abort(request)
    await this.#connection?.close()
    await this.ended
  }

  async #run(): Promise<void> {
    const { log, listener } = this.#tools
    for (;;) {
      try {
        if (await this.#own()) return
      } catch (err) {
        if (err instanceof FrontdeskError && err.code === 'not_found') return
        // Owning it failed: the database is away. Nothing is connected meanwhile.
        log.error({ err, sessionId: this.#sessionId }, 'A session could not be taken up; trying again.')
      } finally {
        listener.released(this.#sessionId)
      }
      await this.#delay('backoff')
      if (this.#stopping.signal.aborted) return
    }
  }

  /** The session under one lease. True when it is over, false when it is to be taken up again from the database. */
  async #own(): Promise<boolean> {
    const { database, nodeId, writer, keyRing, listener } = this.#tools
    if (this.#stopping.signal.aborted) return true
    const lease = await claimLease(database, nodeId, this.#sessionId)
    const sealer = await keyRing.sealerOf(this.#companyId)
    const store = writer.openSession({ ...lease, sealer, onFailed: () => void this.#connection?.close() })
    try {
      await listener.owned({ lease, store })
      this.#record(lease, { kind: 'taken_up' })
      const last = await this.#keepConnected(lease, store)
      // Nothing of the session may be written behind its last state, which can be that it has no keys any more.
      await store.close()
      if (last === 'store_failed') return false
      if (last !== 'lease_lost') this.#record(lease, last)
      return true
    } finally {
      await store.close()
      await this.#states.stored()
    }
  }

  /** Connects again and again. Resolves with what ends the session, or with how its store has failed. */
  async #keepConnected(lease: Lease, store: OwnedSession): Promise<SessionIncident | StoreFailure> {
    while (!this.#stopping.signal.aborted) {
      const closedFor = await this.#connect(lease, store)
      const reason = store.failure?.reason ?? closedFor
      if (this.#stopping.signal.aborted) break
      const policy = RECONNECT_POLICY[reason]
      if (policy.kind === 'leave') return 'lease_lost'
      if (policy.kind === 'stop') return { kind: 'ended', reason, state: policy.state }
      // Nobody is waiting in front of the QR code any more.
      if (!this.#isLinked && this.#attempts >= this.#tools.settings.maxReconnectAttempts)
        return { kind: 'ended', reason, state: 'created' }
      this.#record(lease, { kind: 'disconnected', reason })
      if (store.failure !== undefined) return 'store_failed'
      await this.#delay(policy.delay)
    }
    return { kind: this.#stopping.signal.reason as StopRequest }
  }

  /** One connection, from its opening to its end. */
  async #connect(lease: Lease, store: OwnedSession): Promise<DisconnectReason> {
    const { provider, settings, listener, slots, log, contactsOf } = this.#tools
    const sessionId = this.#sessionId
    const release = await slots.take()
    if (this.#stopping.signal.aborted || store.failure !== undefined) {
      release()
      return store.failure?.reason ?? 'closed_by_us'
    }
    const closed = Promise.withResolvers<DisconnectReason>()
    const openedAtMs = performance.now()
    let onlineSinceMs: number | undefined
    const connection = provider.open({
      sessionId,
      companyId: this.#companyId,
      settings,
      store,
      contacts: contactsOf(this.#companyId),
      events: {
        linkingCode: ({ qr, expiresAt }) => {
          release()
          if (this.#code === undefined) this.#record(lease, { kind: 'code_shown' })
          this.#code = { qr, expiresAt: expiresAt.toISOString() }
        },
        linked: (account) => {
          this.#code = undefined
          this.#record(lease, { kind: 'linked' }, account)
        },
        online: (account) => {
          release()
          onlineSinceMs = performance.now()
          log.info({ sessionId, connectMs: Math.round(onlineSinceMs - openedAtMs) }, 'A session is online.')
          this.#record(lease, { kind: 'online' }, account)
          listener.online({ lease, store }, connection)
        },
        typing: (contactId, isTyping) => listener.typing(sessionId, contactId, isTyping),
        closed: (reason, detail) => {
          log.info({ sessionId, reason, detail }, 'A connection has ended.')
          closed.resolve(reason)
        },
      },
    })
    this.#connection = connection
    // Told to stop between the last look and the opening.
    if (this.#stopping.signal.aborted) await connection.close()
    const reason = await closed.promise
    this.#connection = undefined
    this.#code = undefined
    release()
    listener.offline(sessionId)
    if (onlineSinceMs !== undefined && performance.now() - onlineSinceMs > STABLE_MS) this.#attempts = 0
    return reason
  }

  #record(lease: Lease, incident: SessionIncident, account?: Account): void {
    const status = afterIncident({ isLinked: this.#isLinked }, incident)
    this.#isLinked = status.isLinked
    this.#states.record(lease, {
      ...status,
      since: new Date(),
      ...(account && { account: { phone: account.phone, lid: account.lid ?? null } }),
    })
  }

  async #delay(delay: 'none' | 'backoff' | 'long'): Promise<void> {
    if (delay !== 'none') this.#attempts += 1
    const waitMs = reconnectDelayMs(delay, this.#attempts, this.#tools.settings.reconnectDelayMs)
    if (waitMs > 0) await pause(waitMs, this.#stopping.signal)
  }
}
