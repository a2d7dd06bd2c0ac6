import { isLidUser, jidNormalizedUser, USyncQuery, USyncUser, type WASocket } from 'baileys'
import { SendError } from '#src/providers/provider.ts'

/** Looks up the devices of those who are about to be sent to, before Baileys does. */
export class RecipientDevices {
  readonly #socket: WASocket
  /** As many entries as look-ups under way. */
  readonly #underWay = new Map<string, Promise<boolean>>()

  constructor(socket: WASocket) {
    this.#socket = socket
  }

  /**
   * Makes sure that a recipient has devices. Without any, Baileys sends a stanza without ciphertexts and calls it sent.
   * Rejects with `SendError`: `recipient_unreachable` when WhatsApp says so, `unacknowledged` when it did not answer.
   */
  async assertReachable(jid: string): Promise<void> {
    const [hasDevices] = await Promise.all([this.#hasDevices(jid), this.#hasDevices(this.#ownJid(jid))])
    if (hasDevices) return
    // Baileys answers "none" as well when the server stays silent: only an explicit answer is final.
    const query = new USyncQuery().withContext('message').withDeviceProtocol().withUser(new USyncUser().withId(jid))
    const answer = await this.#socket.executeUSyncQuery(query)
    if (!answer) throw new SendError('unacknowledged', 'WhatsApp did not say which devices the recipient has.')
    if (answer.list.some(listsDevices)) return
    throw new SendError('recipient_unreachable', 'WhatsApp knows no device of the recipient.')
  }

  /**
   * Each look-up that asks the server also replaces the Signal session. A burst to one recipient, or a first burst to
   * many, would do that for each of its messages, until sessions that are still in use are pushed out of the record.
   */
  #hasDevices(jid: string): Promise<boolean> {
    const asked = this.#underWay.get(jid)
    if (asked) return asked
    const answer = this.#socket
      .getUSyncDevices([jid], true, false)
      .then((devices) => devices.length > 0)
      .finally(() => this.#underWay.delete(jid))
    this.#underWay.set(jid, answer)
    return answer
  }

  /** This account, by the kind of address that Baileys will look it up by. */
  #ownJid(recipient: string): string {
    const { id = '', lid } = this.#socket.user ?? {}
    return jidNormalizedUser(isLidUser(recipient) && lid ? lid : id)
  }
}

function listsDevices(entry: Record<string, unknown>): boolean {
  const devices = entry['devices']
  if (typeof devices !== 'object' || devices === null || !('deviceList' in devices)) return false
  return Array.isArray(devices.deviceList) && devices.deviceList.length > 0
}
