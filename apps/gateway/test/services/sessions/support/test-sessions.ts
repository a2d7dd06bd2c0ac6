import { pino } from 'pino'
import type { Emulator } from 'whatsapp-emulator'
import { newId } from '#src/model/ids.ts'
import { createBaileysProvider } from '#src/providers/baileys/create-baileys-provider.ts'
import type { ProviderConnection } from '#src/providers/provider.ts'
import { Alerts } from '#src/services/alerts/alerts.ts'
import type { Actor } from '#src/services/security/actor.ts'
import { createOutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'
import { SessionHost } from '#src/services/sessions/session-host.ts'
import type { RunningSession, SessionListener } from '#src/services/sessions/session-listener.ts'
import type { EffectiveSessionSettings } from '#src/services/sessions/session-settings.ts'
import { Sessions } from '#src/services/sessions/sessions.ts'
import { Membership } from '#src/services/supervisor/membership.ts'
import { startWriter, type Writer } from '#src/storage/writer/writer.ts'
import type { TestDatabase } from '../../../support/database.ts'
import { until } from '../../../support/until.ts'

export const ACTOR: Actor = { apiKeyId: null }

const SETTINGS: EffectiveSessionSettings = {
  keepAliveIntervalMs: 30_000,
  qrTimeoutMs: 60_000,
  maxQrAttempts: 3,
  deviceName: 'Frontdesk',
  usePairingCode: false,
  reconnectDelayMs: 20,
  maxReconnectAttempts: 3,
}

/** What a session service tells others, for each session as it tells it. */
export class RecordedSessions implements SessionListener {
  readonly #calls = new Map<string, string[]>()
  readonly connections = new Map<string, ProviderConnection>()

  callsOf(sessionId: string): string[] {
    return this.#calls.get(sessionId) ?? []
  }

  async owned({ lease }: RunningSession): Promise<void> {
    this.#note(lease.sessionId, `owned ${lease.epoch}`)
  }
  online({ lease }: RunningSession, connection: ProviderConnection): void {
    this.#note(lease.sessionId, 'online')
    this.connections.set(lease.sessionId, connection)
  }
  offline(sessionId: string): void {
    this.#note(sessionId, 'offline')
  }
  typing(sessionId: string): void {
    this.#note(sessionId, 'typing')
  }
  phoneSeen(): void {
    // Too often, and at no certain moment, to be compared.
  }
  released(sessionId: string): void {
    this.#note(sessionId, 'released')
  }

  #note(sessionId: string, call: string): void {
    this.#calls.set(sessionId, [...this.callsOf(sessionId), call])
  }
}

interface Joined {
  membership: Membership
}

/** The sessions' part of a gateway, on real parts: provider, emulator, writer, database. */
export class TestSessions implements AsyncDisposable {
  readonly sessions: Sessions
  readonly host: SessionHost
  readonly listener: RecordedSessions
  readonly writer: Writer
  readonly alerts: Alerts
  readonly #membership: Membership

  private constructor(parts: Pick<TestSessions, 'sessions' | 'host' | 'listener' | 'writer' | 'alerts'> & Joined) {
    this.sessions = parts.sessions
    this.host = parts.host
    this.listener = parts.listener
    this.writer = parts.writer
    this.alerts = parts.alerts
    this.#membership = parts.membership
  }

  static async start(
    { database, keyRing }: TestDatabase,
    emulator: Emulator,
    settings: Partial<EffectiveSessionSettings> = {},
  ): Promise<TestSessions> {
    const log = pino({ level: 'silent' })
    const writer = await startWriter({ database, log })
    const listener = new RecordedSessions()
    const provider = createBaileysProvider({ emulator, timeouts: { ackMs: 2000 } })
    const membership = new Membership({ database, nodeId: newId(), log })
    const alerts = new Alerts({ database, log })
    const host = new SessionHost({
      ...{ database, membership, writer, keyRing, provider, listener, alerts, log },
      settings: { ...SETTINGS, ...settings },
      onReleased: () => undefined,
    })
    await host.join()
    const sessions = new Sessions({
      ...{ database, keyRing, urlGuard: createOutgoingUrlGuard(['127.0.0.1']) },
      linkingAttemptsPerHour: 20,
      onChanged: (sessionId) => host.lookAt(sessionId),
    })
    return new TestSessions({ sessions, host, listener, writer, alerts, membership })
  }

  /** Resolves when the session is in this state. */
  async inState(companyId: string, sessionId: string, state: string) {
    return await until(
      async () => {
        const session = await this.sessions.get(companyId, sessionId)
        return session.state === state ? session : undefined
      },
      { what: `the session is ${state}` },
    )
  }

  /** A new session, linked to the number and online. */
  async link(companyId: string, emulator: Emulator, phone: string): Promise<string> {
    const { id } = await this.sessions.create(companyId, { name: `session ${phone}` }, ACTOR)
    await this.sessions.start(companyId, id, ACTOR)
    await this.inState(companyId, id, 'linking')
    await this.scan(companyId, id, emulator, phone)
    await this.inState(companyId, id, 'online')
    return id
  }

  /** The phone scans the QR code that the session shows. */
  async scan(companyId: string, sessionId: string, emulator: Emulator, phone: string): Promise<void> {
    const code = await this.sessions.linkingCode(companyId, sessionId)
    if (code.kind !== 'qr') throw new Error('The session shows a pairing code.')
    await emulator.scanQr({ phone, qr: code.qr })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.host[Symbol.asyncDispose]()
    await this.#membership[Symbol.asyncDispose]()
    await this.alerts[Symbol.asyncDispose]()
    await this.writer[Symbol.asyncDispose]()
  }
}
