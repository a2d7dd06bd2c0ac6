import { proto } from 'baileys'
import type { SentMessage } from '../accounts/account.ts'
import type { Companion } from '../accounts/companion.ts'
import type { EmulatorState } from '../core/state.ts'
import { sendToOwnCompanion } from './sending.ts'

const { PeerDataOperationRequestType } = proto.Message

/** A companion asks its phone for something. Messages that came without their content are handed over; the rest is not. */
export async function answerPeerRequest(
  state: EmulatorState,
  companion: Companion,
  id: string,
  request: proto.Message.IPeerDataOperationRequestMessage,
): Promise<void> {
  const peerDataOperationResult = (request.placeholderMessageResendRequest ?? []).flatMap(({ messageKey }) => {
    const message = findMessage(state, companion, messageKey)
    if (!messageKey || !message) return []
    const info = { key: messageKey, message: message.body, messageTimestamp: Math.floor(Date.now() / 1000) }
    const webMessageInfoBytes = proto.WebMessageInfo.encode(proto.WebMessageInfo.fromObject(info)).finish()
    return [{ placeholderMessageResendResponse: { webMessageInfoBytes } }]
  })
  if (peerDataOperationResult.length === 0) return
  await sendToOwnCompanion(state, companion, {
    protocolMessage: {
      type: proto.Message.ProtocolMessage.Type.PEER_DATA_OPERATION_REQUEST_RESPONSE_MESSAGE,
      peerDataOperationRequestResponseMessage: {
        peerDataOperationRequestType: PeerDataOperationRequestType.PLACEHOLDER_MESSAGE_RESEND,
        stanzaId: id,
        peerDataOperationResult,
      },
    },
  })
}

function findMessage(
  state: EmulatorState,
  companion: Companion,
  key: proto.IMessageKey | null | undefined,
): SentMessage | undefined {
  const partner = state.directory.resolve(key?.remoteJid ?? undefined)
  const sender = key?.fromMe ? companion.account : partner?.account
  return sender?.findSent(key?.id ?? '')
}
