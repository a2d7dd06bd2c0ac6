import { hash } from 'node:crypto'
import type { MessageContent, PendingReason } from '@frontdesk/api-contract'
import { type AuthenticationCreds, type BinaryNode, proto, unpadRandomMax16, type WAMessage } from 'baileys'
import type { ContactBook } from '#src/model/contact-book.ts'
import { newId } from '#src/model/ids.ts'
import type { ReceivedMessage, SessionChange } from '#src/model/session-store.ts'
import type { WhatsAppAddress } from '#src/model/whatsapp-address.ts'
import { addressOfJid, isAddressed } from './addresses.ts'
import { credsChange } from './credentials.ts'
import { decodeMessage, fromWhatsApp, unshown } from './from-whatsapp.ts'
import { undoneHistory } from './history-sync.ts'
import { mappingChanges } from './lid-mapping.ts'
import { absenceOf, ciphertextsOf, type MessageStanza, readMessageStanza, storableId } from './message-stanza.ts'
import { announcedHistory, resentMessages, sharedAppStateKeys, toldMappings } from './peer-message.ts'

/** Knows the other address of a person, without asking anyone. */
export type CompleteAddress = (address: WhatsAppAddress) => Promise<WhatsAppAddress>

/** What is known of a ciphertext's message before it is decrypted: everything that has to be waited for. */
export interface Draft {
  stanza: MessageStanza | undefined
  /** Set when the decrypted message is one of a chat. */
  contactId?: string
  /** Set when what was decrypted is no message: Baileys asks for it again. */
  isUnreadable?: boolean
}

/** Its sender gives up after so many answers to retry receipts, and Baileys after so many receipts. */
const MAX_REPEATS = 5

export const hashOf = (ciphertext: Uint8Array): Uint8Array => hash('sha256', ciphertext, 'buffer')

export interface ReceivedMessagesOptions {
  creds: AuthenticationCreds
  contacts: ContactBook
  completeAddress: CompleteAddress
  /** The phone has a history ready; that it is to be read is about to be published under this id. */
  onHistory: (id: string) => void
}

/** Makes the rows of received messages: what is committed together with the ratchet step that decrypted them. */
export class ReceivedMessages {
  readonly #creds: AuthenticationCreds
  readonly #contacts: ContactBook
  readonly #complete: CompleteAddress
  readonly #onHistory: (id: string) => void
  /** Baileys hands the very bytes of the stanza on to the decryption: they lead back to it. */
  readonly #stanzas = new WeakMap<Uint8Array, BinaryNode>()

  constructor({ creds, contacts, completeAddress, onHistory }: ReceivedMessagesOptions) {
    this.#creds = creds
    this.#contacts = contacts
    this.#complete = completeAddress
    this.#onHistory = onHistory
  }

  /** Remembers where the ciphertexts of an arriving stanza belong. */
  note(stanza: BinaryNode): void {
    for (const ciphertext of ciphertextsOf(stanza)) this.#stanzas.set(ciphertext, stanza)
  }

  stanzaOf(ciphertext: Uint8Array): BinaryNode | undefined {
    return this.#stanzas.get(ciphertext)
  }

  /** Finds the contact, so that nothing has to be waited for between the decryption and its publication. */
  async prepare(ciphertext: Uint8Array): Promise<Draft> {
    const node = this.#stanzas.get(ciphertext)
    const { me } = this.#creds
    if (!node || !me) return { stanza: undefined }
    const stanza = readMessageStanza(node, me)
    if (!stanza.chat || ciphertextsOf(node).at(-1) !== ciphertext) return { stanza }
    return { stanza, contactId: await this.#contactOf(stanza.chat.partner, stanza.chat.partnerName) }
  }

  /** What to commit for a decrypted ciphertext: its message, or a journal entry that answers a redelivery. */
  changeFor(draft: Draft, ciphertextHash: Uint8Array, padded: Uint8Array): SessionChange | Promise<SessionChange> {
    const raw = unpad(padded)
    const message = decode(raw)
    const { stanza } = draft
    // What was asked for again has a pending row, which must not be left waiting for what nobody wrote.
    const content = message && (fromWhatsApp(message) ?? (stanza?.repeats ? unshown(message) : undefined))
    const row = content && rowOf(draft, content)
    if (row) return { messages: [{ ...row, ciphertextHash, raw }] }
    const change: SessionChange = { journal: [{ ciphertextHash, plaintext: raw }] }
    if (!message) {
      draft.isUnreadable = true
      return { ...change, ...this.unreadable(draft) }
    }
    // Only own devices are believed what they say about this account.
    return stanza?.isOwn ? this.#withPeerContent(change, message, { stanza, ciphertextHash }) : change
  }

  /** What to commit for a ciphertext that cannot be decrypted: a message that says so, and can be read later. */
  unreadable(draft: Draft): SessionChange {
    const reason = (draft.stanza?.repeats ?? 0) < MAX_REPEATS ? 'undecrypted' : 'undecryptable'
    return pending(draft, reason)
  }

  /** What to commit for a stanza that comes without anything to read; undefined for the others. */
  absent(node: BinaryNode): Promise<SessionChange> | undefined {
    const reason = absenceOf(node)
    const { me } = this.#creds
    const stanza = reason && me && readMessageStanza(node, me)
    if (!reason || !stanza?.chat) return undefined
    const { partner, partnerName } = stanza.chat
    return this.#contactOf(partner, partnerName).then((contactId) => pending({ stanza, contactId }, reason))
  }

  /** The row of a message of a chat's history; nothing for what belongs to no person's chat, or no person wrote. */
  async historical(info: WAMessage): Promise<ReceivedMessage | undefined> {
    const content = info.message ? fromWhatsApp(info.message) : undefined
    const row =
      content && (await this.#fromPhone(info, content, { envelope: {}, isOffline: false, sentAt: new Date(0) }))
    return row && { ...row, isHistory: true }
  }

  #withPeerContent(
    change: SessionChange,
    message: proto.IMessage,
    { stanza, ciphertextHash }: { stanza: MessageStanza; ciphertextHash: Uint8Array },
  ): SessionChange | Promise<SessionChange> {
    const { changes, newestId } = sharedAppStateKeys(message)
    if (newestId !== undefined) {
      this.#creds.myAppStateKeyId = newestId
      return { ...change, keys: [...changes, credsChange(this.#creds)] }
    }
    const history = announcedHistory(message)
    if (history) {
      const id = Buffer.from(ciphertextHash).toString('hex')
      this.#onHistory(id)
      return { ...change, keys: [undoneHistory(id, history)] }
    }
    const mappings = toldMappings(message)
    if (mappings) return { ...change, keys: mappingChanges(mappings) }
    const resent = resentMessages(message)
    if (resent.length === 0) return change
    // It was asked for, so there is a pending row.
    const rows = resent.flatMap((info) =>
      info.message ? [this.#fromPhone(info, fromWhatsApp(info.message) ?? unshown(info.message), stanza)] : [],
    )
    return Promise.all(rows).then((messages) => ({
      ...change,
      messages: messages.filter((row) => row !== undefined),
    }))
  }

  async #fromPhone(
    { key, message, messageTimestamp, pushName }: WAMessage | proto.WebMessageInfo,
    content: MessageContent,
    { envelope, isOffline, sentAt }: Pick<MessageStanza, 'envelope' | 'isOffline' | 'sentAt'>,
  ): Promise<ReceivedMessage | undefined> {
    const partner = addressOfJid(key?.remoteJid ?? undefined)
    if (!key?.id || !message || !isAddressed(partner)) return undefined
    const seconds = Number(messageTimestamp ?? 0)
    const raw = proto.Message.encode(message).finish()
    const isOwn = key.fromMe === true
    return {
      id: newId(),
      contactId: await this.#contactOf(partner, (!isOwn && pushName) || undefined),
      ...writtenBy(isOwn),
      whatsappId: storableId(key.id),
      // Not the hash of any ciphertext: the journal entry answers a redelivery.
      ciphertextHash: hashOf(Buffer.concat([Buffer.from(`${key.remoteJid}/${key.id}/`), raw])),
      raw,
      envelope,
      content,
      isOffline,
      sentAt: seconds > 0 ? new Date(seconds * 1000) : sentAt,
    }
  }

  async #contactOf(partner: WhatsAppAddress, name: string | undefined): Promise<string> {
    return this.#contacts.contactOf(await this.#complete(partner), name)
  }
}

/** The row of a draft's message, if it is one of a chat. */
function rowOf({ stanza, contactId }: Draft, content: MessageContent): ReceivedMessage | undefined {
  if (!stanza?.chat || contactId === undefined) return undefined
  const { whatsappId } = stanza.chat
  const { envelope, isOffline, sentAt } = stanza
  const unread = { ciphertextHash: null, raw: null }
  return {
    id: newId(),
    contactId,
    whatsappId,
    ...unread,
    envelope,
    content,
    isOffline,
    sentAt,
    ...writtenBy(stanza.isOwn),
  }
}

function pending(draft: Draft, reason: PendingReason): SessionChange {
  const row = rowOf(draft, { kind: 'pending', reason })
  return row ? { messages: [row] } : {}
}

const writtenBy = (isOwn: boolean): Pick<ReceivedMessage, 'direction' | 'origin'> =>
  isOwn ? { direction: 'outbound', origin: 'phone' } : { direction: 'inbound', origin: 'customer' }

/** Baileys takes the padding off itself and fails the message when it is wrong: then the bytes are kept as they are. */
function unpad(padded: Uint8Array): Uint8Array {
  try {
    return unpadRandomMax16(padded)
  } catch {
    return padded
  }
}

/** A plaintext as Baileys expects it from the decryption. */
export const withPadding = (raw: Uint8Array): Uint8Array => Buffer.concat([raw, Buffer.of(1)])

/** Nothing for what is no message: Baileys asks the sender for it again, and the row is made from what comes then. */
function decode(raw: Uint8Array): proto.Message | undefined {
  try {
    return decodeMessage(raw)
  } catch {
    return undefined
  }
}
