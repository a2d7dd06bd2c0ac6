import { USyncQuery, USyncUser, type WASocket } from 'baileys'
import { SendError } from '#src/providers/provider.ts'

/**
 * Makes sure that a recipient has devices. Without any, Baileys sends a stanza without ciphertexts and calls it sent.
 * Rejects with `SendError`: `recipient_unreachable` when WhatsApp says so, `unacknowledged` when it did not answer.
 */
export async function assertReachable(socket: WASocket, jid: string): Promise<void> {
  const devices = await socket.getUSyncDevices([jid], true, false)
  if (devices.length > 0) return
  // Baileys answers "none" as well when the server stays silent: only an explicit answer is final.
  const query = new USyncQuery().withContext('message').withDeviceProtocol().withUser(new USyncUser().withId(jid))
  const answer = await socket.executeUSyncQuery(query)
  if (!answer) throw new SendError('unacknowledged', 'WhatsApp did not say which devices the recipient has.')
  if (answer.list.some(hasDevices)) return
  throw new SendError('recipient_unreachable', 'WhatsApp knows no device of the recipient.')
}

function hasDevices(entry: Record<string, unknown>): boolean {
  const devices = entry['devices']
  if (typeof devices !== 'object' || devices === null || !('deviceList' in devices)) return false
  return Array.isArray(devices.deviceList) && devices.deviceList.length > 0
}
