import type { Sealer } from '#src/model/sealing.ts'
import { linkingCodeContext } from '#src/storage/sealed-columns.ts'

/** What a person does with it: scans the QR code, or types `ABCD-EFGH` on the phone. */
export type LinkingCodeContent = { kind: 'qr'; qr: string } | { kind: 'pairing_code'; code: string }

/** A linking code as it is stored while it is shown. */
export const sealLinkingCode = (sealer: Sealer, sessionId: string, code: LinkingCodeContent): Uint8Array =>
  sealer.seal(Buffer.from(JSON.stringify(code)), linkingCodeContext(sessionId))

export const openLinkingCode = async (
  sealer: Sealer,
  sessionId: string,
  sealed: Uint8Array,
): Promise<LinkingCodeContent> =>
  JSON.parse(Buffer.from(await sealer.open(sealed, linkingCodeContext(sessionId))).toString()) as LinkingCodeContent
