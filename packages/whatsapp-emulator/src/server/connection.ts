import { decodeBinaryNode, encodeBinaryNode, type proto } from 'baileys'
import type { WebSocket } from 'ws'
import type { Companion, CompanionConnection } from '../accounts/companion.ts'
import type { LinkRequest } from '../core/link-requests.ts'
import type { EmulatorState } from '../core/state.ts'
import { NoiseServer } from '../noise/noise-server.ts'
import type { BinaryNode } from '../wire/nodes.ts'
import { endStream } from './stream-errors.ts'

/** How long a companion has to close the connection itself after its stream was ended. */
const END_GRACE_MS = 250

export interface ConnectionHandlers {
  onClientPayload(connection: Connection, payload: proto.ClientPayload): void
  /** Stanzas are handled one after the other, in the order of their arrival. */
  onNode(connection: Connection, node: BinaryNode): Promise<void>
  onClose(connection: Connection): void
}

/** One WebSocket: Noise around binary nodes. It belongs to a companion after login, to a link request before linking. */
export class Connection implements CompanionConnection {
  companion: Companion | undefined
  linkRequest: LinkRequest | undefined
  isActive = false
  readonly #state: EmulatorState
  readonly #socket: WebSocket
  readonly #noise: NoiseServer
  readonly #handlers: ConnectionHandlers
  #arrived: Buffer[] | undefined
  #isStalled = false
  #isReplaced = false

  constructor(state: EmulatorState, socket: WebSocket, handlers: ConnectionHandlers) {
    this.#state = state
    this.#socket = socket
    this.#handlers = handlers
    this.#noise = new NoiseServer(state.certificates, {
      write: (frame) => socket.send(frame),
      onClientPayload: (payload) => handlers.onClientPayload(this, payload),
      onFrame: (plaintext) => this.#enqueue(plaintext),
    })
    socket.on('message', (data: Buffer) => this.#feed(data))
    // The close event that follows says all that is needed.
    socket.on('error', () => undefined)
    socket.on('close', () => handlers.onClose(this))
  }

  get noiseKey(): Buffer {
    return this.#noise.clientKey
  }

  /** Who is at the other end, for books and events. */
  get jid(): string {
    return this.companion?.jid ?? ''
  }

  send(node: BinaryNode, encoded: Buffer = encodeBinaryNode(node)): void {
    if (this.#isStalled || this.#socket.readyState !== this.#socket.OPEN) return
    if (this.#state.behaviour.keepsBooks) this.#state.wireBook.add('to_companion', this.jid, node)
    this.#noise.send(encoded)
  }

  sendCorruptFrame(): void {
    this.#noise.sendCorrupt(encodeBinaryNode({ tag: 'ib', attrs: {} }))
  }

  end(): void {
    this.#state.timers.after(END_GRACE_MS, () => this.terminate())
  }

  terminate(): void {
    this.#socket.terminate()
  }

  get isStalled(): boolean {
    return this.#isStalled
  }

  stall(): void {
    this.#isStalled = true
  }

  replace(): void {
    this.#isReplaced = true
    endStream(this, '440')
  }

  /** The other end cannot be understood, or must not go on. */
  fail(reason: string): void {
    this.#state.events.emit('violation', { jid: this.jid, reason })
    this.terminate()
  }

  #feed(data: Buffer): void {
    if (this.#isStalled) return
    try {
      this.#noise.feed(data)
    } catch (error) {
      this.fail(messageOf(error))
    }
  }

  #enqueue(plaintext: Buffer): void {
    if (this.#isReplaced) this.#state.counters.framesAfterReplacement++
    if (this.#arrived) {
      this.#arrived.push(plaintext)
      return
    }
    this.#arrived = [plaintext]
    void this.#handleArrived(this.#arrived)
  }

  /** Never rejects: what goes wrong with a stanza ends the connection. */
  async #handleArrived(arrived: Buffer[]): Promise<void> {
    try {
      for (let plaintext = arrived.shift(); plaintext; plaintext = arrived.shift()) {
        const node = await decodeBinaryNode(plaintext)
        if (this.#isStalled) return
        if (this.#state.behaviour.keepsBooks) this.#state.wireBook.add('from_companion', this.jid, node)
        this.#state.events.emit('stanza', { jid: this.jid, node })
        await this.#handlers.onNode(this, node)
      }
    } catch (error) {
      this.fail(messageOf(error))
    } finally {
      this.#arrived = undefined
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
