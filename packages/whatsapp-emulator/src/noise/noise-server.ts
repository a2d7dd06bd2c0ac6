import type { KeyObject } from 'node:crypto'
import { proto } from 'baileys'
import type { CertificateChain } from './certificate-chain.ts'
import { agree, generateKeyPair, type KeyPair } from './keys.ts'
import { open, SymmetricState, seal } from './symmetric-state.ts'

/** Noise header: `WA`, protocol version 6, dictionary version 3. */
const HEADER = Buffer.from([0x57, 0x41, 6, 3])
/** A client that was given an edge to route to says so before the header: `ED`, 2 bytes, a 3-byte length, the route. */
const ROUTING_MARK = Buffer.from('ED')
const ROUTING_PREFIX_BYTES = 7
const LENGTH_BYTES = 3
const EMPTY = Buffer.alloc(0)

export interface NoiseHandlers {
  write(frame: Buffer): void
  /** The handshake is complete and the client has said who it is. */
  onClientPayload(payload: proto.ClientPayload): void
  onFrame(plaintext: Buffer): void
}

/** The responder's side of WhatsApp's Noise XX handshake, and the encrypted frames that follow it. */
export class NoiseServer {
  readonly #certificates: CertificateChain
  readonly #handlers: NoiseHandlers
  #received: Buffer = EMPTY
  #handshake: { step: 'header' | 'hello' | 'finish'; state: SymmetricState; ephemeral?: KeyPair } | undefined
  #transport: { readKey: KeyObject; writeKey: KeyObject; reads: number; writes: number } | undefined
  #clientKey: Buffer = EMPTY

  constructor(certificates: CertificateChain, handlers: NoiseHandlers) {
    this.#certificates = certificates
    this.#handlers = handlers
    this.#handshake = { step: 'header', state: new SymmetricState() }
  }

  /** The client's static public key, once the handshake is complete. */
  get clientKey(): Buffer {
    return this.#clientKey
  }

  /** Takes in what the socket brought. Throws when it is not Noise or not authentic: the connection is then useless. */
  feed(chunk: Buffer): void {
    this.#received = this.#received.length ? Buffer.concat([this.#received, chunk]) : chunk
    if (this.#handshake?.step === 'header' && !this.#takeHeader()) return
    for (let frame = this.#takeFrame(); frame; frame = this.#takeFrame()) this.#onFrame(frame)
  }

  send(plaintext: Uint8Array): void {
    this.#writeFrame(this.#seal(plaintext))
  }

  /** Sends a frame with a bit flipped on the way, so that the client cannot authenticate it. */
  sendCorrupt(plaintext: Uint8Array): void {
    const frame = this.#seal(plaintext)
    frame.writeUInt8(frame.readUInt8(0) ^ 1, 0)
    this.#writeFrame(frame)
  }

  #takeHeader(): boolean {
    let start = 0
    if (this.#received.subarray(0, 2).equals(ROUTING_MARK)) {
      if (this.#received.length < ROUTING_PREFIX_BYTES) return false
      start = ROUTING_PREFIX_BYTES + this.#received.readUIntBE(4, LENGTH_BYTES)
    }
    if (this.#received.length < start + HEADER.length) return false
    if (!this.#received.subarray(start, start + HEADER.length).equals(HEADER))
      throw new Error('The client did not start with the Noise header of WhatsApp Web')
    this.#received = this.#received.subarray(start + HEADER.length)
    if (this.#handshake) {
      this.#handshake.state.mixHash(HEADER)
      this.#handshake.step = 'hello'
    }
    return true
  }

  #takeFrame(): Buffer | undefined {
    if (this.#received.length < LENGTH_BYTES) return undefined
    const end = LENGTH_BYTES + this.#received.readUIntBE(0, LENGTH_BYTES)
    if (this.#received.length < end) return undefined
    const frame = this.#received.subarray(LENGTH_BYTES, end)
    // An empty rest must not keep the chunk that it was cut from alive.
    this.#received = this.#received.length === end ? EMPTY : this.#received.subarray(end)
    return frame
  }

  #onFrame(frame: Buffer): void {
    if (this.#transport) {
      this.#handlers.onFrame(open(this.#transport.readKey, this.#transport.reads++, frame))
      return
    }
    const message = proto.HandshakeMessage.decode(frame)
    if (this.#handshake?.step === 'hello') this.#answerHello(message.clientHello)
    else this.#finish(message.clientFinish)
  }

  #answerHello(hello: proto.HandshakeMessage.IClientHello | null | undefined): void {
    const handshake = this.#handshake
    if (!handshake || !hello?.ephemeral) throw new Error('The client hello holds no ephemeral key')
    const { state } = handshake
    const ephemeral = generateKeyPair()
    state.mixHash(hello.ephemeral)
    state.mixHash(ephemeral.public)
    state.mixKey(agree(ephemeral.private, hello.ephemeral))
    const encryptedStatic = state.encryptAndHash(this.#certificates.staticKey.public)
    state.mixKey(agree(this.#certificates.staticKey.private, hello.ephemeral))
    const payload = state.encryptAndHash(this.#certificates.encoded)
    handshake.step = 'finish'
    handshake.ephemeral = ephemeral
    const serverHello = { ephemeral: ephemeral.public, static: encryptedStatic, payload }
    this.#writeFrame(Buffer.from(proto.HandshakeMessage.encode({ serverHello }).finish()))
  }

  #finish(finish: proto.HandshakeMessage.IClientFinish | null | undefined): void {
    const handshake = this.#handshake
    if (!handshake?.ephemeral || !finish?.static || !finish.payload)
      throw new Error('The client finish holds no static key or no payload')
    this.#clientKey = handshake.state.decryptAndHash(finish.static)
    handshake.state.mixKey(agree(handshake.ephemeral.private, this.#clientKey))
    const payload = proto.ClientPayload.decode(handshake.state.decryptAndHash(finish.payload))
    const [readKey, writeKey] = handshake.state.split()
    this.#transport = { readKey, writeKey, reads: 0, writes: 0 }
    this.#handshake = undefined
    this.#handlers.onClientPayload(payload)
  }

  #seal(plaintext: Uint8Array): Buffer {
    if (!this.#transport) throw new Error('Nothing can be sent before the handshake is complete')
    return seal(this.#transport.writeKey, this.#transport.writes++, plaintext)
  }

  #writeFrame(frame: Buffer): void {
    const bytes = Buffer.allocUnsafe(LENGTH_BYTES + frame.length)
    bytes.writeUIntBE(frame.length, 0, LENGTH_BYTES)
    frame.copy(bytes, LENGTH_BYTES)
    this.#handlers.write(bytes)
  }
}
