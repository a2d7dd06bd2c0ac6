import {
  type AuthenticationCreds,
  areJidsSameUser,
  type BinaryNode,
  type CacheStore,
  extractE2ESessionFromRetryReceipt,
  jidDecode,
  proto,
  type UserFacingSocketConfig,
  type WASocket,
} from 'baileys'
import type { SessionStore } from '#src/model/session-store.ts'
import { addressOfJid, jidsOfAddress } from './addresses.ts'
import type { CompleteAddress } from './received-messages.ts'

/** As whatsmeow does: a device that still cannot read a message after so many copies never will. */
const MAX_REQUESTS = 10

type InjectedSession = Parameters<WASocket['signalRepository']['injectE2ESession']>[0]

export interface RetryReceiptsOptions {
  creds: AuthenticationCreds
  store: SessionStore
  completeAddress: CompleteAddress
  /** Baileys' counters. Entries live for an hour. */
  counters: CacheStore
  socket: () => Pick<WASocket, 'assertSessions' | 'relayMessage' | 'signalRepository'>
  logger: NonNullable<UserFacingSocketConfig['logger']>
  onStoreFailure: (error: unknown) => void
}

/**
 * Answers a device that could not decrypt a message of ours and asks for it again: with the very bytes that were sent,
 * for that device alone, and only if they were sent to its owner.
 *
 * Baileys would give them to whoever knows the id, fetch a session from the server at each request, and forget with its
 * process how often it has done so. But it looks up first how often that was. So the answer is given inside of that
 * look-up, and the result stops Baileys: it goes on to acknowledge the receipt, behind the answer.
 */
export class RetryReceipts {
  readonly #options: RetryReceiptsOptions
  /** Receipts that Baileys has not come to yet. */
  readonly #arrived = new Map<string, BinaryNode>()

  constructor(options: RetryReceiptsOptions) {
    this.#options = options
  }

  /** To be called before Baileys handles the receipt. */
  note(receipt: BinaryNode): void {
    const { id, type, from, participant = from } = receipt.attrs
    if (type === 'retry' && id && participant) this.#arrived.set(`${id}:${participant}`, receipt)
  }

  /** The counters as Baileys is to see them. */
  get counters(): CacheStore {
    const { counters } = this.#options
    return {
      get: async <Value>(key: string) => {
        const receipt = this.#arrived.get(key)
        if (receipt) {
          this.#arrived.delete(key)
          // It stays, for a receipt that is delivered twice.
          await counters.set(key, Number.POSITIVE_INFINITY)
          await this.#answer(receipt)
        }
        // Baileys' type leaves out what its code expects: a key that is not there.
        return (await counters.get<Value>(key)) as Value
      },
      set: (key, value) => counters.set(key, value),
      del: (key) => counters.del(key),
      flushAll: () => counters.flushAll(),
    }
  }

  async #answer(receipt: BinaryNode): Promise<void> {
    const { logger } = this.#options
    try {
      await this.#sendAgain(receipt)
    } catch {
      // The error can hold the message. When the connection has ended, the receipt is not acknowledged and comes again.
      logger.warn({}, 'A message could not be sent again to a device that has asked for it.')
    }
  }

  async #sendAgain(receipt: BinaryNode): Promise<void> {
    const { store, socket, logger, onStoreFailure } = this.#options
    const { id = '', from = '', participant: jid = from } = receipt.attrs
    const recipients = await this.#recipientsOf(jid)
    const request = { whatsappId: id, device: `${recipients[0]}/${jidDecode(jid)?.device ?? 0}` }
    const sent = await store
      .requestSent({ ...request, recipients: this.#isOwn(jid) ? undefined : recipients })
      .catch((error: unknown) => {
        onStoreFailure(error)
        throw error
      })
    // Unknown, over a week old, or not sent to whoever asks.
    if (!sent) return
    if (sent.requests > MAX_REQUESTS) {
      logger.warn({}, 'A device has asked for a message too often; it is not sent again.')
      return
    }
    await this.#refreshSession(jid, receipt)
    const count = Number(childOf(receipt, 'retry')?.attrs['count']) || 1
    await socket().relayMessage(sent.recipient, proto.Message.decode(sent.plaintext), {
      messageId: id,
      participant: { jid, count },
    })
  }

  /** A fresh session: from the keys in the receipt, else from the server, which is asked once an hour for a device. */
  async #refreshSession(jid: string, receipt: BinaryNode): Promise<void> {
    const { socket, counters, logger } = this.#options
    const session = extractE2ESessionFromRetryReceipt(receipt)
    if (session) {
      // Baileys' type wants a pre-key; its code does without, when the device had none left.
      await socket().signalRepository.injectE2ESession({ jid, session } as InjectedSession)
      return
    }
    const name = `keys of ${jid}`
    if (await counters.get(name)) return
    await counters.set(name, true)
    await socket()
      .assertSessions([jid], true)
      .catch(() => logger.warn({}, 'No keys came for a device that has asked for a message; the old session serves.'))
  }

  /** The JIDs by which a message may have been sent to the device's owner. */
  async #recipientsOf(jid: string): Promise<string[]> {
    return jidsOfAddress(await this.#options.completeAddress(addressOfJid(jid)))
  }

  #isOwn(jid: string): boolean {
    const { me } = this.#options.creds
    return me !== undefined && (areJidsSameUser(jid, me.id) || areJidsSameUser(jid, me.lid))
  }
}

const childOf = ({ content }: BinaryNode, tag: string): BinaryNode | undefined =>
  Array.isArray(content) ? content.find((child) => child.tag === tag) : undefined
