import {
  type BinaryNode,
  getBinaryNodeChild,
  getBinaryNodeChildren,
  isLidUser,
  jidDecode,
  jidNormalizedUser,
  USyncQuery,
  USyncUser,
  type WASocket,
} from 'baileys'
import { SendError } from '#src/providers/provider.ts'
import type { RatchetStore } from './ratchet-store.ts'

/** Looks up the devices of those who are about to be sent to, before Baileys does. */
export class RecipientDevices {
  readonly #socket: WASocket
  readonly #ratchets: Pick<RatchetStore, 'keys'>
  /** As many entries as look-ups under way. */
  readonly #underWay = new Map<string, Promise<boolean>>()
  /** The LIDs of numbers that are being looked up, as far as they are known. */
  readonly #knownLids = new Map<string, string>()

  constructor(socket: WASocket, ratchets: Pick<RatchetStore, 'keys'>) {
    this.#socket = socket
    this.#ratchets = ratchets
    socket.ws.prependListener('frame', (frame: BinaryNode | Uint8Array) => {
      if (this.#knownLids.size > 0 && !(frame instanceof Uint8Array)) this.#hideKnownLids(frame)
    })
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
   * A look-up that brings a LID also replaces the Signal session. A burst to one recipient, or a first burst to many,
   * would do that for each of its messages, until sessions that are still in use are pushed out of the record.
   */
  #hasDevices(jid: string): Promise<boolean> {
    const asked = this.#underWay.get(jid)
    if (asked) return asked
    const answer = this.#lookUp(jid).finally(() => this.#underWay.delete(jid))
    this.#underWay.set(jid, answer)
    return answer
  }

  async #lookUp(jid: string): Promise<boolean> {
    const phone = jidDecode(jid)?.user ?? ''
    const { [phone]: lid } = await this.#ratchets.keys.get('lid-mapping', [phone])
    if (lid !== undefined) this.#knownLids.set(phone, lid)
    try {
      return (await this.#socket.getUSyncDevices([jid], true, false)).length > 0
    } finally {
      this.#knownLids.delete(phone)
    }
  }

  /**
   * Baileys takes each LID in the answer for news, and begins a new Signal session with its devices. Of one that is known
   * it is not told: so the session goes on, however often a connection begins anew and its recipients are looked up again.
   */
  #hideKnownLids(frame: BinaryNode): void {
    const list = getBinaryNodeChild(getBinaryNodeChild(frame, 'usync'), 'list')
    for (const user of getBinaryNodeChildren(list, 'user')) {
      const known = this.#knownLids.get(jidDecode(user.attrs['jid'])?.user ?? '')
      const isKnown = ({ tag, attrs }: BinaryNode) => tag === 'lid' && jidDecode(attrs['val'])?.user === known
      if (known !== undefined && Array.isArray(user.content))
        user.content = user.content.filter((node) => !isKnown(node))
    }
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
