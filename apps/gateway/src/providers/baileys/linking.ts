import type { WABrowserDescription, WASocket } from 'baileys'
import type { DisconnectReason } from '#src/model/disconnect-reason.ts'
import type { LinkingMethod, ProviderSettings, ShownCode } from '#src/providers/provider.ts'
import { useCommonName } from './companion-name.ts'
import { PairingRefusal, requestPairingCode } from './pairing-code.ts'

/**
 * How long WhatsApp keeps a connection that links, milliseconds, less a little: it hands out six QR codes, the first for
 * 60 s and the others for 20 s each, and pairing codes end with the connection. (whatsmeow, `PairPhone`: 160 seconds.)
 */
export const LINKING_LIFETIME_MS = 155_000

/** WhatsApp's own times for the first QR code and for each later one, milliseconds: a code that is shown longer may be dead. */
const FIRST_QR_MS = 60_000
const LATER_QR_MS = 20_000

export interface LinkingOptions {
  socket: WASocket
  name: WABrowserDescription
  method: LinkingMethod
  settings: ProviderSettings
  lifetimeMs: number
  onCode: (code: ShownCode) => void
  onFailed: (reason: DisconnectReason, detail: string) => void
}

/** What the user is shown on one connection, until the phone has accepted or nobody has come. */
export class Linking {
  readonly #options: LinkingOptions
  readonly #ending = new AbortController()
  #expiry: NodeJS.Timeout | undefined
  #endsAtMs = 0
  #qrsShown = 0

  constructor(options: LinkingOptions) {
    this.#options = options
  }

  /** Whether WhatsApp has offered to link. */
  get isReady(): boolean {
    return this.#expiry !== undefined
  }

  /** Baileys has a QR code: WhatsApp waits for a phone. */
  offered(qr: string): void {
    const { method, lifetimeMs } = this.#options
    const isFirst = !this.isReady
    if (isFirst) {
      this.#endsAtMs = Date.now() + lifetimeMs
      this.#expiry = setTimeout(() => this.#expired(), lifetimeMs)
    }
    if (method.kind === 'qr') this.#showQr(qr)
    else if (isFirst) void this.#showPairingCode(method.phone)
  }

  close(): void {
    this.#ending.abort()
    clearTimeout(this.#expiry)
  }

  #showQr(qr: string): void {
    const { method, settings, onCode } = this.#options
    if (this.#qrsShown >= settings.maxQrAttempts) {
      this.#expired()
      return
    }
    const lastsMs = ownQrTimeoutMs(method, settings) ?? (this.#qrsShown === 0 ? FIRST_QR_MS : LATER_QR_MS)
    this.#qrsShown += 1
    onCode({ kind: 'qr', qr, expiresAt: new Date(Math.min(Date.now() + lastsMs, this.#endsAtMs)) })
  }

  async #showPairingCode(phone: string): Promise<void> {
    const { socket, name, onCode, onFailed } = this.#options
    const { signal } = this.#ending
    useCommonName(name)
    try {
      const code = await requestPairingCode(socket, phone, signal)
      if (signal.aborted) return
      const expiresAt = new Date(this.#endsAtMs)
      onCode({ kind: 'pairing_code', code: `${code.slice(0, 4)}-${code.slice(4)}`, expiresAt })
    } catch (error) {
      // Whatever else fails here fails with the connection, which reports it.
      if (error instanceof PairingRefusal && !signal.aborted) onFailed(error.reason, error.message)
    }
  }

  #expired(): void {
    this.#options.onFailed('linking_expired', 'Nobody used the linking code in time.')
  }
}

/**
 * How long each QR code is shown, milliseconds, where WhatsApp's own times do not hold. Behind a pairing code nobody sees
 * them, and the connection must not end with the last one.
 */
export const ownQrTimeoutMs = (method: LinkingMethod, { qrTimeoutMs }: ProviderSettings): number | undefined =>
  method.kind === 'qr' && qrTimeoutMs < FIRST_QR_MS ? qrTimeoutMs : undefined
