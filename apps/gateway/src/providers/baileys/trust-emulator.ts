import { WA_CERT_DETAILS } from 'baileys'

/**
 * Accepts servers that the emulator's root key vouches for, and no longer WhatsApp's. It holds for the whole process:
 * sessions of the two never share one.
 */
export function trustEmulator(rootKeyHex: string): void {
  WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(rootKeyHex, 'hex')
}
