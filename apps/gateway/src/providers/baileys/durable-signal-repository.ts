import {
  DEFAULT_CONNECTION_CONFIG,
  isLidUser,
  isPnUser,
  jidDecode,
  jidEncode,
  type SignalAuthState,
  type SignalRepositoryWithLIDStore,
  type UserFacingSocketConfig,
} from 'baileys'
import type { KeyKind, SessionStore } from '#src/model/session-store.ts'
import { isFromBacklog } from './arrival-order.ts'
import { LidMapping, phoneOfLid } from './lid-mapping.ts'
import type { KeyId } from './ratchet-operation.ts'
import type { RatchetStore } from './ratchet-store.ts'
import { hashOf, type ReceivedMessages, withPadding } from './received-messages.ts'
import { joined, type SessionRecord, tryEachRatchet } from './session-record.ts'

type MakeSignalRepository = NonNullable<UserFacingSocketConfig['makeSignalRepository']>
type BaileysLidMapping = SignalRepositoryWithLIDStore['lidMapping']

export interface DurableRepositoryOptions {
  store: SessionStore
  ratchets: RatchetStore
  received: ReceivedMessages
  onStoreFailure: (error: unknown) => void
  /** Called before Baileys learns of it, which then asks the sender again. */
  onUndecryptable: (ciphertext: Uint8Array) => Promise<void>
  onDecrypted: (ciphertext: Uint8Array) => void
  /** Called whatever became of it. */
  onHandled: (ciphertext: Uint8Array) => void
}

/**
 * Baileys' Signal repository, made durable. Each operation publishes the ratchet keys that it wrote together with the
 * row of the message that it decrypted; the commit gate holds back what follows from it. A ciphertext that was decrypted
 * before is answered with the plaintext of then: its key is used up.
 */
export function durableSignalRepository(options: DurableRepositoryOptions): MakeSignalRepository {
  const { ratchets } = options
  return (auth, logger, askServer) => {
    const { operationKeys } = ratchets
    const inner = innerRepository(auth, ratchets, logger)
    const mapping = new LidMapping(ratchets, askServer)
    // Baileys declares a class with private fields; it uses the public ones.
    const lidMapping: Pick<BaileysLidMapping, keyof BaileysLidMapping> = mapping
    /** The name under which a session is stored: by LID, where one is known. */
    const resolved = async (jid: string) => (await mapping.knownLid(jid)) ?? jid
    const sessionKeys = (jid: string, ...kinds: KeyKind[]): KeyId[] => {
      const address = inner.jidToSignalProtocolAddress(jid)
      return [...kinds.map((kind) => ({ kind, id: address })), ...mappingKeys(jid)]
    }
    const onSession = async <Result>(jid: string, work: (jid: string) => Promise<Result>): Promise<Result> => {
      const stored = await resolved(jid)
      return ratchets.operation(() => ownSession(stored).then(() => work(stored)), sessionKeys(stored, 'session'))
    }
    /**
     * Moves a session that was opened by number, when the LID was not known yet, under the LID: as part of the operation
     * that uses it. However the LID became known, the conversation goes on with the same ratchet.
     */
    const ownSession = async (jid: string): Promise<void> => {
      const address = inner.jidToSignalProtocolAddress(jid)
      if (!isLidUser(jid) || (await operationKeys.get('session', [address]))[address]) return
      const former = await sessionByNumber(jid)
      if (former) await operationKeys.set({ session: { [address]: former.session, [former.address]: null } })
    }
    /** The same where there is a session under the LID as well: both sides have written first, in the same moment. */
    const joinSessions = async (jid: string): Promise<boolean> => {
      const address = inner.jidToSignalProtocolAddress(jid)
      const former = isLidUser(jid) && (await sessionByNumber(jid))
      const { [address]: own } = await operationKeys.get('session', [address])
      if (!former || !own) return false
      const both = joined(own as SessionRecord, former.session as SessionRecord) as Uint8Array
      await operationKeys.set({ session: { [address]: both, [former.address]: null } })
      return true
    }
    const sessionByNumber = async (lid: string): Promise<{ address: string; session: Uint8Array } | undefined> => {
      const { user, device } = jidDecode(lid) ?? {}
      const phone = user && (await phoneOfLid(operationKeys, user))
      if (!phone) return undefined
      const address = inner.jidToSignalProtocolAddress(jidEncode(phone, 's.whatsapp.net', device))
      const { [address]: session } = await operationKeys.get('session', [address])
      return session && { address, session }
    }
    const decryptMessage = async (message: Parameters<typeof inner.decryptMessage>[0]): Promise<Uint8Array> => {
      const attempt = () => inner.decryptMessage(message)
      await ownSession(message.jid)
      // It says itself which session it belongs to.
      if (message.type === 'pkmsg') return attempt()
      const address = inner.jidToSignalProtocolAddress(message.jid)
      try {
        return await tryEachRatchet(operationKeys, address, attempt)
      } catch (error) {
        if (!(await joinSessions(message.jid))) throw error
        return await tryEachRatchet(operationKeys, address, attempt)
      }
    }
    const decrypt = decryption(options)

    return {
      decryptMessage: async ({ jid, type, ciphertext }) => {
        const stored = await resolved(jid)
        return decrypt({
          ciphertext,
          // An old one could replace an identity before it fails.
          isRisky: type === 'pkmsg',
          keys: type === 'pkmsg' ? sessionKeys(stored, 'session', 'identity-key') : sessionKeys(stored, 'session'),
          run: () => decryptMessage({ jid: stored, type, ciphertext }),
        })
      },
      decryptGroupMessage: (message) =>
        decrypt({ ciphertext: message.msg, isRisky: false, keys: [], run: () => inner.decryptGroupMessage(message) }),
      encryptMessage: ({ jid, data }) => onSession(jid, (stored) => inner.encryptMessage({ jid: stored, data })),
      injectE2ESession: ({ jid, session }) =>
        onSession(jid, (stored) => inner.injectE2ESession({ jid: stored, session })),
      validateSession: (jid) => onSession(jid, (stored) => inner.validateSession(stored)),
      getSessionInfo: (jid) => onSession(jid, (stored) => inner.getSessionInfo(stored)),
      deleteSession: (jids) => ratchets.operation(() => inner.deleteSession(jids)),
      // Sessions move when they are used. Baileys' way knows only devices that it has looked up, and puts an older session
      // in the place of a newer one.
      migrateSession: async () => ({ migrated: 0, skipped: 0, total: 0 }),
      encryptGroupMessage: (message) => ratchets.operation(() => inner.encryptGroupMessage(message)),
      getSenderKeyDistributionMessage: (group) =>
        ratchets.operation(() => inner.getSenderKeyDistributionMessage(group)),
      hasSenderKey: (group) => ratchets.operation(() => inner.hasSenderKey(group)),
      processSenderKeyDistributionMessage: (message) =>
        ratchets.operation(() => inner.processSenderKeyDistributionMessage(message)),
      jidToSignalProtocolAddress: (jid) => inner.jidToSignalProtocolAddress(jid),
      lidMapping: lidMapping as BaileysLidMapping,
      close: () => {
        mapping.close()
        inner.close?.()
      },
    }
  }
}

/** Baileys' own repository, on keys in memory alone. It never asks the server: the outer mapping has done so before. */
function innerRepository(
  auth: SignalAuthState,
  { operationKeys }: RatchetStore,
  logger: Parameters<MakeSignalRepository>[1],
): SignalRepositoryWithLIDStore {
  return DEFAULT_CONNECTION_CONFIG.makeSignalRepository({ creds: auth.creds, keys: operationKeys }, logger)
}

/** An address by number is looked up in the mapping once more, inside of the operation. */
const mappingKeys = (jid: string): KeyId[] =>
  isPnUser(jid) ? [{ kind: 'lid-mapping', id: jid.split(/[:@]/, 1)[0] ?? '' }] : []

interface Decryption {
  ciphertext: Uint8Array
  isRisky: boolean
  keys: readonly KeyId[]
  run: () => Promise<Uint8Array>
}

function decryption({
  store,
  ratchets,
  received,
  onStoreFailure,
  onUndecryptable,
  onDecrypted,
  onHandled,
}: DurableRepositoryOptions) {
  const before = async (hash: Uint8Array): Promise<Uint8Array | undefined> => {
    const raw = await store.findPlaintext(hash).catch(failing(onStoreFailure))
    return raw && withPadding(raw)
  }
  const decrypt = async ({ ciphertext, isRisky, keys, run }: Decryption): Promise<Uint8Array> => {
    const hash = hashOf(ciphertext)
    // A live message is almost never a redelivery, and a redelivered one fails: only then is it looked up. What was
    // queued while we were away may well have been handled, up to its receipt, before we went.
    const stanza = received.stanzaOf(ciphertext)
    const looksFirst = isRisky || (stanza !== undefined && isFromBacklog(stanza))
    const preparing = received.prepare(ciphertext).catch(failing(onStoreFailure))
    const [known, draft] = await Promise.all([looksFirst ? before(hash) : undefined, preparing])
    if (known) {
      onDecrypted(ciphertext)
      return known
    }
    try {
      const plaintext = await ratchets.operation(run, keys, (padded) => received.changeFor(draft, hash, padded))
      if (draft.isUnreadable) await onUndecryptable(ciphertext)
      else onDecrypted(ciphertext)
      return plaintext
    } catch (error) {
      const earlier = looksFirst ? undefined : await before(hash)
      if (earlier) return earlier
      // In front of the retry receipt.
      ratchets.publish(received.unreadable(draft))
      await onUndecryptable(ciphertext)
      throw error
    }
  }
  return (decryption: Decryption) => decrypt(decryption).finally(() => onHandled(decryption.ciphertext))
}

/** Hands a failure of the store on, before Baileys takes it for a message that cannot be read and asks for it again. */
const failing = (onStoreFailure: (error: unknown) => void) => (error: unknown) => {
  onStoreFailure(error)
  throw error
}
