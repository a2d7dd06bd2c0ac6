import { promisify } from 'node:util'
import { inflate } from 'node:zlib'
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

/** Far above what a message can carry inside of itself. */
const MAX_HISTORY_BYTES = 64 * 1024 * 1024

/**
 * Which LIDs belong to which numbers, as the phone tells after linking, and when the account moves to LIDs. Undefined
 * when the message is about something else. A history that is not inside of the message, but has to be downloaded, is
 * left to Baileys, which stores what it finds there a little later.
 */
export function toldMappings(message: proto.IMessage): Promise<LIDMapping[]> | undefined {
  const { historySyncNotification, lidMigrationMappingSyncMessage } = unwrapMessage(message).protocolMessage ?? {}
  const history = historySyncNotification?.initialHistBootstrapInlinePayload
  const migration = lidMigrationMappingSyncMessage?.encodedMappingPayload
  if (!history && !migration) return undefined
  // The journal keeps what cannot be read, and WhatsApp tells mappings on other ways as well.
  return readMappings(history, migration).catch(() => [])
}

async function readMappings(
  history: Uint8Array | null | undefined,
  migration: Uint8Array | null | undefined,
): Promise<LIDMapping[]> {
  if (migration) {
    const { pnToLidMappings } = proto.LIDMigrationMappingSyncPayload.decode(migration)
    return pnToLidMappings.map(({ pn, latestLid, assignedLid }) => ({
      pn: `${String(pn ?? '')}@s.whatsapp.net`,
      lid: `${String(latestLid ?? assignedLid ?? '')}@lid`,
    }))
  }
  const bytes = await promisify<Uint8Array, object, Buffer>(inflate)(history ?? new Uint8Array(), {
    maxOutputLength: MAX_HISTORY_BYTES,
  })
  const { phoneNumberToLidMappings, conversations } = proto.HistorySync.decode(bytes)
  return [
    ...phoneNumberToLidMappings.map(({ pnJid, lidJid }) => ({ pn: pnJid ?? '', lid: lidJid ?? '' })),
    ...conversations.map(({ id, pnJid, lidJid }) => ({ pn: pnJid || id || '', lid: lidJid || id || '' })),
  ]
}

/** Messages that the phone hands over because this device could not read them, or never got them. */
export function resentMessages(message: proto.IMessage): { info: proto.WebMessageInfo; bytes: Uint8Array }[] {
  const response = unwrapMessage(message).protocolMessage?.peerDataOperationRequestResponseMessage
  return (response?.peerDataOperationResult ?? []).flatMap(({ placeholderMessageResendResponse }) => {
    const bytes = placeholderMessageResendResponse?.webMessageInfoBytes
    if (!bytes) return []
    try {
      return [{ info: proto.WebMessageInfo.decode(bytes), bytes }]
    } catch {
      // The journal keeps what the phone sent; a part that cannot be read has nothing to show.
      return []
    }
  })
}
