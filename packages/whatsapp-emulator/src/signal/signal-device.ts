import { createHmac, randomBytes, randomInt } from 'node:crypto'
import { ProtocolAddress, SessionBuilder, SessionCipher, SessionRecord, type SignalStorage } from 'libsignal'
import { dropOldest } from '../books/drop-oldest.ts'
import { generateKeyPair, type KeyPair, keyPairFrom, sign, signalPublicKey } from '../noise/keys.ts'
import type { KeyBundle } from './key-bundle.ts'
import { silenceLibsignal } from './silence-libsignal.ts'

silenceLibsignal()

type CiphertextType = 'pkmsg' | 'msg'

export interface Ciphertext {
  type: CiphertextType
  body: Buffer
}

/** What libsignal makes of a record, whatever its types say: the ratchets with one device, by their base keys. */
interface StoredSession {
  _sessions: Record<string, { indexInfo: { used: number }; _chains: Record<string, Chain> }>
  version: string
}

interface Chain {
  chainType: number
  /** Without a key nothing more can be read with it than what has been skipped. */
  chainKey: { key?: string }
  messageKeys: Record<string, string>
}

/** libsignal's mark of a chain with which messages are read. */
const RECEIVING = 2

/** One-time pre-keys that were handed out and not used yet; the oldest is forgotten first. */
const MAX_OUTSTANDING_PRE_KEYS = 5_000
const SIGNED_PRE_KEY_ID = 1

/**
 * The Signal state of a simulated phone. It is made to be small: keys come into being when they are needed, and
 * one-time pre-keys are derived from a seed, so that a bundle that nobody uses costs no more than its number.
 */
export class SignalDevice {
  readonly registrationId = randomInt(1, 16_380)
  readonly identity: KeyPair = generateKeyPair()
  #signedPreKey: { pair: KeyPair; signature: Buffer } | undefined
  #preKeySeed: Buffer | undefined
  #lastPreKeyId = 0
  #outstandingPreKeys: Set<number> | undefined
  #sessions: Map<string, StoredSession> | undefined
  #opening: Map<string, Promise<void>> | undefined

  /** Hands out a bundle with a new one-time pre-key. */
  takeBundle(): KeyBundle {
    const { pair, signature } = this.#currentSignedPreKey()
    const id = ++this.#lastPreKeyId
    this.#outstandingPreKeys ??= new Set()
    this.#outstandingPreKeys.add(id)
    if (this.#outstandingPreKeys.size > MAX_OUTSTANDING_PRE_KEYS) dropOldest(this.#outstandingPreKeys)
    return {
      registrationId: this.registrationId,
      identityKey: this.identity.public,
      signedPreKey: { id: SIGNED_PRE_KEY_ID, key: pair.public, signature },
      preKey: { id, key: this.#preKeyPair(id).public },
    }
  }

  hasSession(user: string, device: number): boolean {
    const stored = this.#sessions?.get(addressOf(user, device).toString())
    return stored !== undefined && recordOf(stored).haveOpenSession()
  }

  /** Opens a session where there is none. Two callers at once share one session. */
  async ensureSession(user: string, device: number, bundle: () => KeyBundle): Promise<void> {
    const key = addressOf(user, device).toString()
    const opening = this.#opening?.get(key)
    if (opening) return opening
    if (this.hasSession(user, device)) return
    this.#opening ??= new Map()
    const opened = this.openSession(user, device, bundle()).finally(() => this.#opening?.delete(key))
    this.#opening.set(key, opened)
    await opened
  }

  /** Opens a fresh session, closing one that is open. */
  async openSession(user: string, device: number, bundle: KeyBundle): Promise<void> {
    const { signedPreKey, preKey } = bundle
    const session = {
      registrationId: bundle.registrationId,
      identityKey: signalPublicKey(bundle.identityKey),
      signedPreKey: {
        keyId: signedPreKey.id,
        publicKey: signalPublicKey(signedPreKey.key),
        signature: signedPreKey.signature,
      },
      ...(preKey && { preKey: { keyId: preKey.id, publicKey: signalPublicKey(preKey.key) } }),
    }
    const builder = new SessionBuilder(this.#storage(), addressOf(user, device))
    // libsignal's types demand a one-time pre-key; its code does without one, as Signal's specification allows.
    await builder.initOutgoing(session as Parameters<SessionBuilder['initOutgoing']>[0])
  }

  async encrypt(user: string, device: number, plaintext: Buffer): Promise<Ciphertext> {
    const { type, body } = await new SessionCipher(this.#storage(), addressOf(user, device)).encrypt(plaintext)
    return { type: type === 3 ? 'pkmsg' : 'msg', body: Buffer.from(body, 'binary') }
  }

  /** Rejects when the message belongs to no session of this device, or was already decrypted. */
  async decrypt(user: string, device: number, { type, body }: Ciphertext): Promise<Buffer> {
    const address = addressOf(user, device)
    if (type === 'pkmsg') return new SessionCipher(this.#storage(), address).decryptPreKeyWhisperMessage(body)
    // Two sides that write to each other for the first time open two sessions. libsignal would try them in turn and store
    // what a message has made of one that it does not belong to, which is of no use from then on.
    const sessions = Object.entries(this.#sessions?.get(address.toString())?._sessions ?? {})
    let failure: unknown = new Error('There is no session with this device')
    for (const [baseKey] of sessions.toSorted(([, a], [, b]) => b.indexInfo.used - a.indexInfo.used)) {
      try {
        return await new SessionCipher(this.#storage(baseKey), address).decryptWhisperMessage(body)
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }

  /** Forgets every session and one-time pre-key, as a phone does that was set up anew. */
  loseSessions(): void {
    this.#sessions = undefined
    this.#outstandingPreKeys = undefined
    this.#preKeySeed = undefined
  }

  #currentSignedPreKey(): { pair: KeyPair; signature: Buffer } {
    if (!this.#signedPreKey) {
      const pair = generateKeyPair()
      this.#signedPreKey = { pair, signature: sign(this.identity.private, signalPublicKey(pair.public)) }
    }
    return this.#signedPreKey
  }

  #preKeyPair(id: number): KeyPair {
    this.#preKeySeed ??= randomBytes(32)
    return keyPairFrom(createHmac('sha256', this.#preKeySeed).update(String(id)).digest())
  }

  /** Made for each use, so that a phone at rest holds its keys and nothing else. `baseKey`: as if only this session were there. */
  #storage(baseKey?: string): SignalStorage {
    return {
      // A copy each time: a message that cannot be decrypted must leave the stored session as it was.
      loadSession: async (id) => {
        const stored = this.#sessions?.get(id)
        if (stored === undefined || baseKey === undefined) return stored && recordOf(stored)
        const only = stored._sessions[baseKey]
        return recordOf({ ...stored, _sessions: only ? { [baseKey]: only } : {} })
      },
      storeSession: async (id, session) => {
        this.#sessions ??= new Map()
        const stored = serialized(session)
        const others = baseKey === undefined ? {} : this.#sessions.get(id)?._sessions
        this.#sessions.set(id, { ...stored, _sessions: { ...others, ...stored._sessions } })
      },
      isTrustedIdentity: () => true,
      loadPreKey: async (id) => {
        if (!this.#outstandingPreKeys?.has(Number(id))) return undefined
        return toLibsignal(this.#preKeyPair(Number(id)))
      },
      removePreKey: (id) => {
        this.#outstandingPreKeys?.delete(Number(id))
      },
      loadSignedPreKey: () => toLibsignal(this.#currentSignedPreKey().pair),
      getOurRegistrationId: () => this.registrationId,
      getOurIdentity: () => toLibsignal(this.identity),
    }
  }
}

function recordOf(stored: StoredSession): SessionRecord {
  return SessionRecord.deserialize(stored as unknown as Uint8Array)
}

function serialized(record: SessionRecord): StoredSession {
  const stored = record.serialize() as unknown as StoredSession
  // libsignal keeps every chain, one for each time that the conversation changes sides; phones do not.
  for (const { _chains: chains } of Object.values(stored._sessions)) {
    for (const [key, { chainType, chainKey, messageKeys }] of Object.entries(chains)) {
      const isSpent = chainType === RECEIVING && chainKey.key === undefined && Object.keys(messageKeys).length === 0
      if (isSpent) delete chains[key]
    }
  }
  return stored
}

function addressOf(user: string, device: number): ProtocolAddress {
  return new ProtocolAddress(user, device)
}

function toLibsignal(pair: KeyPair): { privKey: Buffer; pubKey: Buffer } {
  return { privKey: pair.private, pubKey: signalPublicKey(pair.public) }
}
