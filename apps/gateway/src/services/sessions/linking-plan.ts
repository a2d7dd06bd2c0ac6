import type { LinkingMethod } from '#src/providers/provider.ts'

/** What is known of how a session is to be linked. */
export interface LinkingWish {
  /** Whether a pairing code is wanted at once. */
  prefersPairingCode: boolean
  /** The number that is to be linked, or was linked before. */
  phone: string | null
}

/**
 * How a session gets linked: by QR codes, and when nobody has scanned them, by a pairing code for the number, if it is
 * known: not every phone can scan, and not every person stands before the screen.
 */
export class LinkingPlan {
  #hasFallenBack = false
  #canFallBack = false

  /** The method of the next connection. */
  begin({ prefersPairingCode, phone }: LinkingWish): LinkingMethod {
    const usesPairingCode = phone !== null && (prefersPairingCode || this.#hasFallenBack)
    this.#canFallBack = phone !== null && !usesPairingCode
    return usesPairingCode ? { kind: 'pairing_code', phone } : { kind: 'qr' }
  }

  /** Nobody has used the codes of the last connection. True if the next one uses another method. */
  expired(): boolean {
    this.#hasFallenBack = this.#canFallBack
    return this.#canFallBack
  }

  /** Linking begins anew. */
  reset(): void {
    this.#hasFallenBack = false
  }
}
