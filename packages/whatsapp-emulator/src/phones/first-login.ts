import { randomBytes } from 'node:crypto'
import { deflateSync } from 'node:zlib'
import { proto } from 'baileys'
import type { Companion } from '../accounts/companion.ts'
import type { EmulatorState } from '../core/state.ts'
import type { MessageBody } from '../signal/message-codec.ts'
import { historyOf } from './history.ts'
import { sendToOwnCompanion } from './sending.ts'

const APP_STATE_KEY_ID = Buffer.from([0, 0, 0, 0, 0, 1])

/**
 * What a phone sends to a companion after its first login: the key of the app state, and the history, even when there is
 * none. Without them a client waits: Baileys for 20 seconds (`Socket/chats.js`, "awaiting history sync").
 */
export async function sendFirstLoginMessages(state: EmulatorState, companion: Companion): Promise<void> {
  await sendToOwnCompanion(state, companion, appStateKeyShare())
  for (const { type, history } of historyOf(state, companion.account))
    await sendToOwnCompanion(state, companion, {
      protocolMessage: {
        type: proto.Message.ProtocolMessage.Type.HISTORY_SYNC_NOTIFICATION,
        historySyncNotification: {
          syncType: proto.Message.HistorySyncType[type],
          chunkOrder: 1,
          progress: 100,
          initialHistBootstrapInlinePayload: deflateSync(proto.HistorySync.encode(history).finish()),
        },
      },
    })
}

function appStateKeyShare(): MessageBody {
  const timestamp = Math.floor(Date.now() / 1000)
  const fingerprint = { rawId: 1, currentIndex: 0, deviceIndexes: [0] }
  const key = { keyId: { keyId: APP_STATE_KEY_ID }, keyData: { keyData: randomBytes(32), fingerprint, timestamp } }
  return {
    protocolMessage: {
      type: proto.Message.ProtocolMessage.Type.APP_STATE_SYNC_KEY_SHARE,
      appStateSyncKeyShare: { keys: [key] },
    },
  }
}
