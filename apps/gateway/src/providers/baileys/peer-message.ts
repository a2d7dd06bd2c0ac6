import { BufferJSON, proto } from 'baileys'
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
