import type { Logger } from 'pino'
import type { ContactBook } from '#src/model/contact-book.ts'
import type { DisconnectReason } from '#src/model/disconnect-reason.ts'
import type { Sealer } from '#src/model/sealing.ts'
import { afterIncident, type SessionIncident } from '#src/model/session-state.ts'
import type { StoreFailure } from '#src/model/store-error.ts'
import type { Account, Provider, ProviderConnection, ProviderSettings } from '#src/providers/provider.ts'
import { pause } from '#src/services/lanes/backoff.ts'
import type { Database } from '#src/storage/database.ts'
import type { KeyRing } from '#src/storage/key-ring.ts'
import type { Lease } from '#src/storage/leases.ts'
import type { SessionRow, StateChange } from '#src/storage/sessions.ts'
import type { OwnedSession } from '#src/storage/writer/owned-session.ts'
import type { Writer } from '#src/storage/writer/writer.ts'
import type { ConnectSlots } from './connect-slots.ts'
import { sealLinkingCode } from './linking-code.ts'
import { RECONNECT_POLICY, reconnectDelayMs } from './reconnect-policy.ts'
import type { SessionListener } from './session-listener.ts'
import { StateRecorder } from './state-recorder.ts'

export interface SessionSettings extends ProviderSettings {
  reconnectDelayMs: number
  /** For a session that is not linked: it is started again by a person. A linked one never gives up. */
  maxReconnectAttempts: number
}

export interface RunnerTools {
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

/** What the session is written with while it is owned. */
interface OwnedTools {
  lease: Lease
  store: OwnedSession
  sealer: Sealer
}

/**
 * Why a session runs here no longer: it is over until somebody does something, another process owns it, or its store
 * has failed and it is to be taken up again from the database.
 */
export type RunnerEnd = 'over' | StoreFailure

type StopRequest = 'stopped' | 'gateway_stopped'

/**
 * One session while it is wanted: owns its lease, keeps it connected, records its states. Ends when it is told to, when
 * somebody has to act first (a new link, a new number), or when another process owns the session.
 */
export class SessionRunner {
  readonly #tools: RunnerTools
  readonly #lease: Lease
  readonly #companyId: string
  readonly #sessionId: string
  readonly #states: StateRecorder
  readonly #stopping = new AbortController()
  #isLinked: boolean
  #connection: ProviderConnection | undefined
  #showsCode = false
  /** Attempts since the last good connection. */
  #attempts = 0
  /** Settles when nothing of the session runs here any more. Never rejects. */
  readonly ended: Promise<RunnerEnd>

  constructor(session: SessionRow, lease: Lease, tools: RunnerTools) {
    this.#tools = tools
    this.#lease = lease
    this.#companyId = session.company_id
    this.#sessionId = session.id
    this.#isLinked = session.linked_at !== null
    this.#states = new StateRecorder(tools.database, tools.log, tools.givingUp)
    this.ended = this.#run()
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

  /** One lease of the session, from its claim to its end. */
  async #run(): Promise<RunnerEnd> {
    const { writer, keyRing, listener, log } = this.#tools
    const lease = this.#lease
    try {
      const sealer = await keyRing.sealerOf(this.#companyId)
      const store = writer.openSession({ ...lease, sealer, onFailed: () => void this.#connection?.close() })
      try {
        await listener.owned({ lease, store })
        this.#record(lease, { kind: 'taken_up' })
        const last = await this.#keepConnected({ lease, store, sealer })
        // Nothing of the session may be written behind its last state, which can be that it has no keys any more.
        await store.close()
        if (last === 'lease_lost' || last === 'store_failed') return last
        this.#record(lease, last)
        return 'over'
      } finally {
        await store.close()
        await this.#states.stored()
      }
    } catch (err) {
      // The database is away. Nothing is connected meanwhile.
      log.error({ err, sessionId: this.#sessionId }, 'A session could not be taken up.')
      return 'store_failed'
    } finally {
      listener.released(this.#sessionId)
    }
  }

  /** Connects again and again. Resolves with what ends the session, or with how its store has failed. */
  async #keepConnected(owned: OwnedTools): Promise<SessionIncident | StoreFailure> {
    const { lease, store } = owned
    while (!this.#stopping.signal.aborted) {
      const closedFor = await this.#connect(owned)
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
  async #connect({ lease, store, sealer }: OwnedTools): Promise<DisconnectReason> {
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
      linking: { kind: 'qr' },
      events: {
        linkingCode: (shown) => {
          release()
          if (shown.kind !== 'qr') return
          const { qr, expiresAt } = shown
          const code = { sealed: sealLinkingCode(sealer, sessionId, { qr }), expiresAt }
          if (this.#showsCode) this.#states.record(lease, code)
          else this.#record(lease, { kind: 'code_shown' }, { linkingCode: code })
          this.#showsCode = true
        },
        linked: (account) => {
          this.#showsCode = false
          this.#record(lease, { kind: 'linked' }, { account: stored(account) })
        },
        online: (account) => {
          release()
          onlineSinceMs = performance.now()
          log.info({ sessionId, connectMs: Math.round(onlineSinceMs - openedAtMs) }, 'A session is online.')
          this.#record(lease, { kind: 'online' }, { account: stored(account) })
          listener.online({ lease, store }, connection)
        },
        phoneSeen: (at) => listener.phoneSeen({ lease, store }, at),
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
    this.#showsCode = false
    release()
    listener.offline(sessionId)
    if (onlineSinceMs !== undefined && performance.now() - onlineSinceMs > STABLE_MS) this.#attempts = 0
    return reason
  }

  #record(lease: Lease, incident: SessionIncident, more: Pick<StateChange, 'account' | 'linkingCode'> = {}): void {
    const status = afterIncident({ isLinked: this.#isLinked }, incident)
    this.#isLinked = status.isLinked
    this.#states.record(lease, { ...status, since: new Date(), ...more })
  }

  async #delay(delay: 'none' | 'backoff' | 'long'): Promise<void> {
    if (delay !== 'none') this.#attempts += 1
    const waitMs = reconnectDelayMs(delay, this.#attempts, this.#tools.settings.reconnectDelayMs)
    if (waitMs > 0) await pause(waitMs, this.#stopping.signal)
  }
}

const stored = ({ phone, lid }: Account): { phone: string; lid: string | null } => ({ phone, lid: lid ?? null })
