import type { Sealer } from '#src/model/sealing.ts'

/** What a person does with it: scans the QR code, or types the code on the phone. */
interface Code {
  qr: string
}

const contextOf = (sessionId: string): string => `session/${sessionId}/linking-code`

/** A linking code as it is stored while it is shown. */
export const sealLinkingCode = (sealer: Sealer, sessionId: string, code: Code): Uint8Array =>
  sealer.seal(Buffer.from(JSON.stringify(code)), contextOf(sessionId))

export const openLinkingCode = (sealer: Sealer, sessionId: string, sealed: Uint8Array): Code =>
  JSON.parse(Buffer.from(sealer.open(sealed, contextOf(sessionId))).toString()) as Code
