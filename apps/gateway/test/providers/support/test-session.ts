import type { Emulator } from 'whatsapp-emulator'
import type { ContactBook } from '#src/model/contact-book.ts'
import type { DisconnectReason } from '#src/model/disconnect-reason.ts'
import type { SessionStore } from '#src/model/session-store.ts'
import type { WhatsAppAddress } from '#src/model/whatsapp-address.ts'
import { newWhatsAppId } from '#src/model/whatsapp-id.ts'
import type {
  Account,
  LinkingMethod,
  Provider,
  ProviderConnection,
  ProviderEvents,
  ProviderSettings,
  ShownCode,
} from '#src/providers/provider.ts'
import { until } from '../../support/until.ts'

const SETTINGS: ProviderSettings = {
  keepAliveIntervalMs: 30_000,
  qrTimeoutMs: 60_000,
  maxQrAttempts: 3,
  deviceName: 'Frontdesk',
}

/** One person, one id: by whichever address they come. */
export class MemoryContactBook implements ContactBook {
  readonly #ids = new Map<string, string>()

  contactOf({ phone, lid }: WhatsAppAddress): string {
    const known = (phone && this.#ids.get(phone)) ?? (lid && this.#ids.get(lid))
    const id = known || `contact ${phone ?? lid}`
    for (const address of [phone, lid]) if (address !== undefined) this.#ids.set(address, id)
    return id
  }
}

/** Remembers what a provider reports. */
export class RecordedEvents implements ProviderEvents {
  readonly codes: { qr: string; expiresAt: Date }[] = []
  readonly pairingCodes: { code: string; expiresAt: Date }[] = []
  readonly phoneSeenAt: Date[] = []
  readonly linkedAs: Account[] = []
  readonly onlineAs: Account[] = []
  readonly closings: { reason: DisconnectReason; detail: string; retryAt?: Date }[] = []
  readonly typings: { contactId: string; isTyping: boolean }[] = []

  linkingCode(shown: ShownCode): void {
    if (shown.kind === 'qr') this.codes.push(shown)
    else this.pairingCodes.push(shown)
  }
  linked(account: Account): void {
    this.linkedAs.push(account)
  }
  online(account: Account): void {
    this.onlineAs.push(account)
  }
  phoneSeen(at: Date): void {
    this.phoneSeenAt.push(at)
  }
  closed(reason: DisconnectReason, detail: string, extra?: { retryAt?: Date }): void {
    this.closings.push({ reason, detail, ...extra })
  }
  typing(contactId: string, isTyping: boolean): void {
    this.typings.push({ contactId, isTyping })
  }
}

export interface OpenSession {
  connection: ProviderConnection
  events: RecordedEvents
}

/** A session of one store, opened as often as a test likes. */
export class TestSession {
  readonly store: SessionStore
  readonly contacts: ContactBook
  readonly id: string
  readonly #provider: Provider
  readonly #settings: ProviderSettings
  readonly #linking: LinkingMethod

  constructor(options: {
    provider: Provider
    store: SessionStore
    contacts?: ContactBook
    settings?: Partial<ProviderSettings>
    linking?: LinkingMethod
    id?: string
  }) {
    this.#provider = options.provider
    this.store = options.store
    this.contacts = options.contacts ?? new MemoryContactBook()
    this.#settings = { ...SETTINGS, ...options.settings }
    this.#linking = options.linking ?? { kind: 'qr' }
    this.id = options.id ?? 'session'
  }

  open(): OpenSession {
    const events = new RecordedEvents()
    const connection = this.#provider.open({
      sessionId: this.id,
      companyId: 'company',
      settings: this.#settings,
      store: this.store,
      contacts: this.contacts,
      linking: this.#linking,
      events,
    })
    return { connection, events }
  }

  async online(): Promise<OpenSession> {
    const session = this.open()
    await until(() => session.events.onlineAs[0], { what: 'the session is online' })
    return session
  }

  /** Scans the QR code with a phone, and comes back online as its companion. */
  async link(emulator: Emulator, phone: string): Promise<OpenSession> {
    const { events } = this.open()
    const code = await until(() => events.codes[0], { what: 'a QR code is shown' })
    await emulator.scanQr({ phone, qr: code.qr })
    const closing = await until(() => events.closings[0], { what: 'the server asks for a restart' })
    if (closing.reason !== 'restart_required') throw new Error(`Linking ended with ${closing.reason}.`)
    return await this.online()
  }
}

/** Sends a text and returns its id. */
export async function sendText({ connection }: OpenSession, to: WhatsAppAddress, text: string): Promise<string> {
  const whatsappId = newWhatsAppId()
  await connection.send({ whatsappId, to, content: { kind: 'text', text } })
  return whatsappId
}
