import { BufferJSON, type LIDMapping, proto } from 'baileys'
import type { KeyChange } from '#src/model/session-store.ts'
import { unwrapMessage } from './from-whatsapp.ts'

/**
 * App-state keys that the phone shares. Baileys stores them only after it has confirmed their receipt, and the phone
 * shares them once: they are committed with the message that brings them. The last one is the one to write with.
 */
export function sharedAppStateKeys(message: proto.IMessage): { changes: KeyChange[]; newestId: string | undefined } {
  const keys = unwrapMessage(message).protocolMessage?.appStateSyncKeyShare?.keys ?? []
  const changes = keys.flatMap(({ keyId, keyData }): KeyChange[] => {
    if (!keyId?.keyId || !keyData) return []
    const encoded = Buffer.from(JSON.stringify(keyData, BufferJSON.replacer))
    return [{ kind: 'app-state-sync-key', id: Buffer.from(keyId.keyId).toString('base64'), encode: () => encoded }]
  })
  return { changes, newestId: changes.at(-1)?.id }
}

/** A history of the chats that the phone has ready. */
export const announcedHistory = (message: proto.IMessage): proto.Message.IHistorySyncNotification | undefined =>
  unwrapMessage(message).protocolMessage?.historySyncNotification ?? undefined

/** Which LIDs belong to which numbers, as the phone tells when its account moves to LIDs; undefined in other messages. */
export function toldMappings(message: proto.IMessage): LIDMapping[] | undefined {
  const payload = unwrapMessage(message).protocolMessage?.lidMigrationMappingSyncMessage?.encodedMappingPayload
  if (!payload) return undefined
  try {
    const { pnToLidMappings } = proto.LIDMigrationMappingSyncPayload.decode(payload)
    return pnToLidMappings.map(({ pn, latestLid, assignedLid }) => ({
      pn: `${String(pn ?? '')}@s.whatsapp.net`,
      lid: `${String(latestLid ?? assignedLid ?? '')}@lid`,
    }))
  } catch {
    // The journal keeps what cannot be read, and WhatsApp tells mappings on other ways as well.
    return []
  }
}

/** Messages that the phone hands over because this device could not read them, or never got them. */
export function resentMessages(message: proto.IMessage): proto.WebMessageInfo[] {
  const response = unwrapMessage(message).protocolMessage?.peerDataOperationRequestResponseMessage
  return (response?.peerDataOperationResult ?? []).flatMap(({ placeholderMessageResendResponse }) => {
    const bytes = placeholderMessageResendResponse?.webMessageInfoBytes
    if (!bytes) return []
    try {
      return [proto.WebMessageInfo.decode(bytes)]
    } catch {
      // The journal keeps what the phone sent; a part that cannot be read has nothing to show.
      return []
    }
  })
}
