import { type BinaryNode, makeWASocket, type WASocket } from 'baileys'
import type { ContactBook } from '#src/model/contact-book.ts'
import type { SessionStore } from '#src/model/session-store.ts'
import { addressOfJid, isAddressed } from './addresses.ts'
import { ArrivalOrder } from './arrival-order.ts'
import { CommitGate } from './commit-gate.ts'
import { durableSignalRepository } from './durable-signal-repository.ts'
import { guardListeners } from './guard-listeners.ts'
import { HistorySync } from './history-sync.ts'
import { completeAddress } from './lid-mapping.ts'
import { plaintextsOf } from './message-stanza.ts'
import { isFromOwnPhone } from './own-phone.ts'
import { topUpPreKeys } from './pre-key-top-up.ts'
import { cut, limitClosing, onRefusedHandshake, rawSocketOf } from './raw-socket.ts'
import { dateOf, readReceiptStanza } from './receipt-stanza.ts'
import { type CompleteAddress, hashOf, ReceivedMessages } from './received-messages.ts'
import { RetryReceipts } from './retry-receipts.ts'
import type { ServerAcks } from './server-acks.ts'
import { type SocketConfigOptions, socketConfig } from './socket-config.ts'
import { UndecryptableMessages } from './undecryptable-messages.ts'

export interface HookOptions extends SocketConfigOptions {
  store: SessionStore
  contacts: ContactBook
  acks: ServerAcks
  onTyping: (contactId: string, isTyping: boolean) => void
  /** The account's phone itself has sent something, at this time. */
  onPhoneSeen: (at: Date) => void
  /** The WebSocket is open: whatever happens from now on is not the proxy's doing. */
  onReached: () => void
  /** The store has failed: nothing may leave any more. */
  onStoreFailure: (error: unknown) => void
  /** A frame or stanza could not be handled: the stream cannot go on. */
  onUnreadable: () => void
  /** The server answers with plain HTTP instead of a WebSocket. */
  onRefused: (httpStatus: number) => void
}

/** A Baileys socket with everything around it that makes it durable. */
export interface SocketHooks {
  socket: WASocket
  gate: CommitGate
  /** When the server was last heard, `performance.now()` milliseconds. */
  lastHeardAtMs(): number
  /** Ends the connection without waiting for the other side. */
  cut(): void
  close(): void
}

/** Opens an unmodified Baileys socket and attaches all hooks before the first frame arrives. */
export function hookSocket(options: HookOptions): SocketHooks {
  const { creds, ratchets, caches, store, contacts, acks } = options
  const complete: CompleteAddress = (address) => completeAddress(ratchets, address)
  const received = new ReceivedMessages({
    ...{ creds, contacts },
    completeAddress: complete,
    onHistory: (id) => histories.take(id),
  })
  const histories = new HistorySync({
    ...{ store, ratchets },
    messageOf: (info) => received.historical(info),
    onStoreFailure: options.onStoreFailure,
    proxy: options.settings.proxy,
    proxyLookup: options.proxyLookup,
  })
  const retries = new RetryReceipts({
    ...{ creds, store },
    completeAddress: complete,
    counters: caches.msgRetryCounterCache,
    socket: () => socket,
    logger: options.logger,
    onStoreFailure: options.onStoreFailure,
  })
  const undecryptable = new UndecryptableMessages({
    askedPhone: caches.placeholderResendCache,
    me: () => creds.me,
    askPhone: (key) => socket.requestPlaceholderResend(key),
    findPending: () => store.findPending(),
  })
  const order = new ArrivalOrder()
  const withStanza = <Result>(ciphertext: Uint8Array, work: (stanza: BinaryNode) => Result): Result | undefined => {
    const stanza = received.stanzaOf(ciphertext)
    return stanza && work(stanza)
  }
  const socket = makeWASocket({
    ...socketConfig(options),
    msgRetryCounterCache: retries.counters,
    makeSignalRepository: durableSignalRepository({
      store,
      ratchets,
      received,
      onStoreFailure: options.onStoreFailure,
      onUndecryptable: async (ciphertext) => withStanza(ciphertext, (stanza) => undecryptable.failed(stanza)),
      onDecrypted: (ciphertext) => withStanza(ciphertext, (stanza) => undecryptable.resolved(stanza)),
      onHandled: (ciphertext) => withStanza(ciphertext, (stanza) => order.handled(stanza)),
    }),
  })
  const raw = rawSocketOf(socket)
  let heardAtMs = performance.now()
  raw.on('message', () => {
    heardAtMs = performance.now()
  })
  const gate = new CommitGate(raw, store, options.onStoreFailure)
  limitClosing(socket, raw)
  raw.once('open', options.onReached)
  onRefusedHandshake(socket, options.onRefused)
  guardListeners(socket.ws, 'CB:message', options.onUnreadable)
  // Baileys makes a message of each missed call, in a promise that nobody handles. Calls come with a later version.
  socket.ev.removeAllListeners('call')
  // Baileys collects writes in transactions and commits them after it has sent what depends on them. Writing through
  // leaves of its transactions only the lock.
  Object.assign(socket.authState.keys, ratchets.keys)

  topUpPreKeys(socket)
  const notePhone = (stanza: BinaryNode) => {
    if (creds.me && isFromOwnPhone(stanza, creds.me)) options.onPhoneSeen(dateOf(stanza.attrs['t']))
  }
  socket.ev.on('connection.update', ({ receivedPendingNotifications }) => {
    if (receivedPendingNotifications)
      Promise.all([undecryptable.resume(), histories.resume()]).catch(options.onStoreFailure)
  })
  listenFirst(socket, 'CB:message', (stanza) => {
    notePhone(stanza)
    received.note(stanza)
    order.arrived(stanza)
    for (const plaintext of plaintextsOf(stanza)) {
      ratchets.publish({ journal: [{ ciphertextHash: hashOf(plaintext), plaintext }] })
    }
    const absent = received.absent(stanza)
    if (absent) void gate.holdFor(absent.then((change) => ratchets.publish(change)).catch(options.onStoreFailure))
  })
  listenFirst(socket, 'CB:receipt', (stanza) => {
    notePhone(stanza)
    retries.note(stanza)
    const receipt = creds.me && readReceiptStanza(stanza, creds.me)
    if (receipt) ratchets.publish({ receipts: [receipt] })
  })
  listenFirst(socket, 'CB:ack,class:message', (stanza) => {
    const { id, t } = stanza.attrs
    if (acks.acknowledge(stanza) && id)
      ratchets.publish({ receipts: [{ whatsappIds: [id], status: 'sent', at: dateOf(t) }] })
  })
  listenFirst(socket, 'CB:chatstate', (stanza) => {
    void reportTyping(stanza, options)
  })

  return {
    socket,
    gate,
    lastHeardAtMs: () => heardAtMs,
    cut: () => cut(raw),
    close: () => {
      gate.shut()
      undecryptable.close()
      histories.close()
    },
  }
}

/** Before Baileys, so that what is published stands in front of the frames with which it answers. */
function listenFirst({ ws }: WASocket, event: string, listener: (stanza: BinaryNode) => void): void {
  ws.prependListener(event, listener)
}

async function reportTyping({ attrs, content }: BinaryNode, { contacts, onTyping }: HookOptions): Promise<void> {
  const address = addressOfJid(attrs['from'])
  const [state] = Array.isArray(content) ? content : []
  if (!isAddressed(address) || !state) return
  try {
    onTyping(await contacts.contactOf(address), state.tag === 'composing')
  } catch {
    // Typing is a hint for the moment: when the contact cannot be found now, it is worth nothing later.
  }
}
