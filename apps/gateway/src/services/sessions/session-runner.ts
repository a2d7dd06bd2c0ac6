import type { Logger } from 'pino'
import { type ErrorCode, FrontdeskError } from '#src/model/errors.ts'
import type { Sealer } from '#src/model/sealing.ts'
import { afterIncident, type SessionIncident } from '#src/model/session-state.ts'
import type { StoreFailure } from '#src/model/store-error.ts'
import type { Account, ProviderConnection } from '#src/providers/provider.ts'
import { pause } from '#src/services/lanes/backoff.ts'
import type { AlertSubject } from '#src/storage/alerts.ts'
import type { Database } from '#src/storage/database.ts'
import type { KeyRing } from '#src/storage/key-ring.ts'
import type { Claim, Lease } from '#src/storage/leases.ts'
import type { DesiredState, SessionCommandKind } from '#src/storage/schema-types.ts'
import type { StateChange } from '#src/storage/session-states.ts'
import type { OwnedSession } from '#src/storage/writer/owned-session.ts'
import type { Writer } from '#src/storage/writer/writer.ts'
import type { ConnectSlots } from './connect-slots.ts'
import { sealLinkingCode } from './linking-code.ts'
import { LinkingPlan } from './linking-plan.ts'
import type { OutdatedVersions } from './outdated-versions.ts'
import type { Quarantine } from './quarantine.ts'
import { ReconnectPlan } from './reconnect-plan.ts'
import { SessionCommands } from './session-commands.ts'
import { type ConnectionEnd, type ConnectionTools, openConnection } from './session-connection.ts'
import { sessionContext } from './session-context.ts'
import { SessionGoal } from './session-goal.ts'
import { type Opening, readOpening, takesAnotherWay, UnreadableProxyError } from './session-opening.ts'
import type { EffectiveSessionSettings } from './session-settings.ts'
import { StateRecorder } from './state-recorder.ts'
import type { TransitionBatcher } from './transition-batcher.ts'

export interface RunnerTools extends ConnectionTools {
  database: Database
  writer: Writer
  keyRing: KeyRing
  slots: ConnectSlots
  transitions: TransitionBatcher
  versions: OutdatedVersions
  alerts: { raise(subject: AlertSubject, detail?: Record<string, unknown>): void; clear(subject: AlertSubject): void }
  /** The deployment's. */
  settings: EffectiveSessionSettings
  log: Logger
  /** Aborted when the database is not to be waited for any longer. */
  givingUp: AbortSignal
  quarantine: Quarantine
}

/** A connection that stayed up for so long was a good one: the next trouble starts with a short delay again. */
const STABLE_MS = 60_000
/** The host takes a session up again so soon after the database has failed. */
const STORE_FAILED_PAUSE_MS = 1_000

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

/** Makes of one session what its company wants, under one lease: keeps it connected, unlinks it, records its states. */
export class SessionRunner {
  readonly #tools: RunnerTools
  readonly #lease: Lease
  readonly #goal: SessionGoal
  readonly #states: StateRecorder
  readonly #commands: SessionCommands
  readonly #plan: ReconnectPlan
  readonly #linking = new LinkingPlan()
  /** Until the first state is recorded here, which ends the former owner's. */
  #ownerSeenAt: Date | undefined
  /** As what it is over here when the process ends; undefined while that is not so. */
  #stopping: SessionIncident | undefined
  /** What another owner, or a person, had to do with it before. */
  readonly #formerReason: string | null
  #hasLostLease = false
  /** One connection and the wait after it; aborted when something else is wanted. */
  #turn = new AbortController()
  #online: ProviderConnection | undefined
  #showsCode = false
  /** Until it is online for the first time. */
  #isBeingLinked: boolean
  /** What the present turn connects with. */
  #opening: Opening | undefined
  #sealer: Sealer | undefined
  /** Settles when nothing of the session runs here any more. Never rejects. */
  readonly ended: Promise<RunnerEnd>

  constructor({ session, lease, ownerSeenAt }: Claim, tools: RunnerTools) {
    const { database, transitions, log, givingUp: signal } = tools
    this.#tools = tools
    this.#lease = lease
    this.#ownerSeenAt = ownerSeenAt ?? undefined
    this.#formerReason = session.reason
    this.#goal = new SessionGoal(session.desired, session.linked_at !== null)
    this.#isBeingLinked = session.linked_at === null
    // Of a session that was under way, a new owner goes on counting; whoever starts one begins anew.
    const isUnderWay = session.state === 'reconnecting' || session.state === 'connecting'
    this.#plan = new ReconnectPlan(isUnderWay ? session.attempts : 0)
    this.#states = new StateRecorder({
      database,
      transitions,
      log,
      lease,
      signal,
      onRefused: (reason) => this.#refused(reason),
    })
    this.#commands = new SessionCommands({ database, log, lease, execute: (kind) => this.#execute(kind) })
    this.ended = sessionContext.run(session.id, () => this.#run())
  }

  /** Somebody may have the code before him, or WhatsApp be about to confirm it. */
  get isBeingLinked(): boolean {
    return this.#isBeingLinked
  }

  /** What the company wants of the session now. */
  desire(desired: DesiredState): void {
    if (desired === this.#goal.desired) return
    this.#goal.desire(desired)
    if (this.#goal.mustUnlink && this.#online) void this.#unlink(this.#online)
    else if (desired !== 'running') this.#turn.abort()
  }

  /** The API may have asked for something, or changed how the session connects. Never throws. */
  look(): void {
    this.#commands.look()
    void this.#lookAtWay()
  }

  /** The process ends. Resolves when the connection is closed and the session's last state is stored. */
  async stop(): Promise<void> {
    this.#stopping ??= { kind: 'gateway_stopped' }
    this.#turn.abort()
    await this.ended
  }

  /** The process ends because of this session. */
  blame(): void {
    this.#stopping = { kind: 'disconnected', reason: 'crashed', nextAttemptAt: new Date() }
    this.#turn.abort()
  }

  /** One lease of the session, from its claim to its end. */
  async #run(): Promise<RunnerEnd> {
    const { writer, keyRing, listener, log } = this.#tools
    const lease = this.#lease
    const { sessionId } = lease
    try {
      const sealer = await keyRing.sealerOf(lease.companyId)
      this.#sealer = sealer
      const store = writer.openSession({ ...lease, sealer, onFailed: () => this.#turn.abort() })
      try {
        if (this.#formerReason === 'crashed' && (await this.#tools.quarantine.crashesOften(lease))) {
          this.#recordLast({ kind: 'ended', reason: 'crashed_often', state: 'failed' })
          return 'over'
        }
        await listener.owned({ lease, store })
        if (this.#goal.desired !== 'stopped') this.#record({ kind: 'taken_up' })
        this.#commands.look()
        const last = await this.#keepConnected({ lease, store, sealer })
        // Nothing of the session may be written behind its last state, which can be that it has no keys any more.
        await store.close()
        if (last === 'lease_lost') this.#states.lose()
        if (typeof last === 'string') return last
        this.#recordLast(last)
        return 'over'
      } finally {
        await store.close()
        await this.#commands.idle()
        await this.#states.stored()
      }
    } catch (err) {
      log.error({ err, sessionId }, 'A session could not be taken up.')
      // The database is away. Nothing is connected meanwhile.
      return 'store_failed'
    } finally {
      listener.released(sessionId)
    }
  }

  /** Connects again and again. Resolves with what ends the session, or with how its store has failed. */
  async #keepConnected(owned: OwnedTools): Promise<SessionIncident | StoreFailure> {
    for (;;) {
      this.#turn = new AbortController()
      const { signal } = this.#turn
      const rest = this.#stopping ?? this.#goal.rest()
      if (rest !== undefined) return rest
      const end = await this.#connect(owned, signal)
      // What the recorder finds out about the lease and the number decides what comes next.
      if (end?.reason === 'replaced' || end?.reason === 'restart_required') await this.#states.stored()
      const failure = this.#hasLostLease ? 'lease_lost' : owned.store.failure?.reason
      if (failure === 'rows_refused' && this.#tools.quarantine.refusesAgain(this.#lease))
        return { kind: 'ended', reason: failure, state: 'failed' }
      if (failure !== undefined && failure !== 'lease_lost') this.#disconnected('store_failed', STORE_FAILED_PAUSE_MS)
      if (failure !== undefined) return failure
      if (end === undefined || signal.aborted) continue
      const last = await this.#follow(end, signal)
      if (last !== undefined) return last
    }
  }

  /** One connection, from the wait for its turn to its end. Undefined if it was called off before it was opened. */
  async #connect(owned: OwnedTools, signal: AbortSignal): Promise<ConnectionEnd | undefined> {
    const { slots, versions } = this.#tools
    try {
      const opening = await readOpening(this.#tools, owned.sealer, this.#lease.sessionId)
      if (opening === undefined) throw new FrontdeskError('not_found')
      this.#opening = opening
      if (versions.isRefused(opening.settings.waVersion)) return { reason: 'client_outdated' }
      const isUsual = this.#goal.isLinked && !opening.messagesWait
      const release = await slots.take(isUsual ? 'usual' : this.#goal.isLinked ? 'messages_wait' : 'linking', signal)
      if (release === undefined) return undefined
      try {
        return await this.#converse(owned, opening, release, signal)
      } finally {
        release()
      }
    } catch (err) {
      if (err instanceof UnreadableProxyError) return { reason: 'credentials_unreadable' }
      throw err
    }
  }

  async #converse(
    owned: OwnedTools,
    { settings, wish }: Opening,
    connected: () => void,
    signal: AbortSignal,
  ): Promise<ConnectionEnd> {
    const { listener, versions, alerts } = this.#tools
    const linking = this.#linking.begin(wish)
    let stable: NodeJS.Timeout | undefined
    const { connection, ended } = openConnection(this.#tools, owned, settings, linking, {
      codeShown: ({ expiresAt, ...content }) => {
        connected()
        const linkingCode = { sealed: sealLinkingCode(owned.sealer, this.#lease.sessionId, content), expiresAt }
        if (this.#showsCode) this.#states.record(linkingCode)
        else this.#record({ kind: 'code_shown', code: content.kind }, { linkingCode })
        this.#showsCode = true
      },
      linked: (account) => this.#record({ kind: 'linked' }, { account: stored(account) }),
      online: (account) => {
        connected()
        this.#online = connection
        this.#isBeingLinked = false
        if (versions.accepted(settings.waVersion)) alerts.clear({ kind: 'client_outdated' })
        this.#tools.quarantine.left(this.#lease, this.#formerReason)
        if (this.#goal.mustUnlink) {
          void this.#unlink(connection)
          return
        }
        if (this.#plan.attempts > 0) stable = setTimeout(() => this.#settle(), STABLE_MS).unref()
        this.#record({ kind: 'online' }, { account: stored(account) })
        listener.online(owned, connection, this.#states.stored())
      },
    })
    const close = () => void connection.close()
    signal.addEventListener('abort', close)
    if (signal.aborted) close()
    const end = await ended
    signal.removeEventListener('abort', close)
    clearTimeout(stable)
    this.#online = undefined
    this.#showsCode = false
    if (end.reason === 'client_outdated' && versions.refused(settings.waVersion))
      alerts.raise({ kind: 'client_outdated' }, { waVersion: settings.waVersion ?? null })
    return end
  }

  /** What follows the end of a connection: the next one, after a wait, or what ends the session. */
  async #follow({ reason, ...end }: ConnectionEnd, signal: AbortSignal): Promise<SessionIncident | undefined> {
    const settings = this.#opening?.settings ?? this.#tools.settings
    const { mustUnlink, isLinked } = this.#goal
    const hasNextMethod = reason === 'linking_expired' && this.#linking.expired()
    const step = hasNextMethod
      ? ({ kind: 'reconnect', delayMs: 0, isSlow: false } as const)
      : this.#plan.after({ ...end, reason, isLinked: isLinked || mustUnlink }, settings)
    if (step.kind === 'leave') return undefined
    if (step.kind === 'end')
      // The phone has taken the link back; or WhatsApp lets nobody in who could ask for it.
      return mustUnlink ? this.#goal.unlinked() : { ...step, kind: 'ended', reason }
    const { sessionId, companyId } = this.#lease
    if (step.isSlow) this.#tools.alerts.raise({ kind: 'session_unstable', companyId, sessionId }, { reason })
    const waitMs = mustUnlink ? Math.min(step.delayMs, this.#goal.unlinkingLeftMs) : step.delayMs
    this.#disconnected(reason, waitMs)
    if (waitMs > 0) await pause(waitMs, signal)
    return undefined
  }

  /** Has the phone forget this device. The connection ends by it, also when nobody knows whether the phone has heard. */
  async #unlink(connection: ProviderConnection): Promise<void> {
    try {
      await connection.logout()
    } catch (err) {
      this.#tools.log.info({ err, sessionId: this.#lease.sessionId }, 'A session could not be unlinked; trying again.')
      connection.abandon('unresponsive', 'WhatsApp has not confirmed the logout.')
    }
  }

  #execute(kind: SessionCommandKind): ErrorCode | null {
    if (this.#stopping !== undefined || this.#goal.desired !== 'running' || this.#goal.mustUnlink) return 'unavailable'
    if (kind === 'new_code' && this.#goal.isLinked) return 'session_not_linking'
    this.#restart()
    return null
  }

  #restart(): void {
    // Should the trouble last, it is told of anew.
    if (this.#plan.attempts > 0) this.#settle()
    else this.#plan.reset()
    this.#linking.reset()
    this.#showsCode = false
    this.#record({ kind: 'restarted' })
    this.#turn.abort()
  }

  /** Another proxy or another version of WhatsApp Web holds from a new connection on. */
  async #lookAtWay(): Promise<void> {
    const { log } = this.#tools
    const { sessionId } = this.#lease
    const opening = this.#opening
    if (opening === undefined || this.#sealer === undefined || this.#goal.desired !== 'running') return
    try {
      const next = await readOpening(this.#tools, this.#sealer, sessionId)
      if (next && takesAnotherWay(opening, next) && this.#opening === opening) this.#restart()
    } catch (err) {
      // It is read again for the next connection.
      log.warn({ err, sessionId }, 'The settings of a session could not be read.')
    }
  }

  #refused(reason: 'lease_lost' | 'number_taken'): void {
    if (reason === 'lease_lost') {
      this.#hasLostLease = true
      this.#states.lose()
      this.#turn.abort()
      return
    }
    this.#goal.numberTaken()
    this.#record({ kind: 'refused', reason })
    if (this.#online === undefined) return
    this.#tools.listener.offline(this.#lease.sessionId)
    void this.#unlink(this.#online)
  }

  #settle(): void {
    const { sessionId, companyId } = this.#lease
    this.#plan.reset()
    this.#tools.alerts.clear({ kind: 'session_unstable', companyId, sessionId })
  }

  #disconnected(reason: ConnectionEnd['reason'], waitMs: number): void {
    this.#record({ kind: 'disconnected', reason, nextAttemptAt: new Date(Date.now() + waitMs) })
  }

  #recordLast(incident: SessionIncident): void {
    const { sessionId, companyId } = this.#lease
    if (this.#plan.attempts > 0 && incident.kind !== 'gateway_stopped')
      this.#tools.alerts.clear({ kind: 'session_unstable', companyId, sessionId })
    const fulfils = incident.kind === 'unlinked' ? 'logged_out' : incident.kind === 'ended' ? 'running' : undefined
    this.#record(incident, fulfils && { fulfils })
  }

  #record(incident: SessionIncident, more: Partial<StateChange> = {}): void {
    const status = afterIncident(this.#goal, incident)
    this.#goal.linked(status.isLinked)
    const seen = this.#ownerSeenAt && { formerOwnerSeenAt: this.#ownerSeenAt }
    this.#ownerSeenAt = undefined
    this.#states.record({ ...status, since: new Date(), attempts: this.#plan.attempts, ...seen, ...more })
  }
}

const stored = ({ phone, lid }: Account): { phone: string; lid: string | null } => ({ phone, lid: lid ?? null })
