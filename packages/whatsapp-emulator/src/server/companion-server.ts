import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import type { EmulatorState } from '../core/state.ts'
import { updateUptime } from '../core/uptime.ts'
import type { BinaryNode } from '../wire/nodes.ts'
import { handleChatState } from './chat-states.ts'
import { Connection, type ConnectionHandlers } from './connection.ts'
import { abandonLinking } from './linking.ts'
import { onClientPayload } from './login.ts'
import { handleMessage } from './messages.ts'
import { handleIq } from './queries.ts'
import { handleAck, handleReceipt } from './receipts.ts'

const UNAVAILABLE = 'HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'
const MAX_FRAME_BYTES = 16 * 1024 * 1024

/** Where WhatsApp Web's clients connect to. */
export class CompanionServer implements Disposable {
  readonly #state: EmulatorState
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_FRAME_BYTES,
  })
  readonly #connections = new Set<Connection>()
  readonly #handlers: ConnectionHandlers

  constructor(state: EmulatorState) {
    this.#state = state
    this.#handlers = {
      onClientPayload: (connection, payload) => onClientPayload(state, connection, payload),
      onNode: (connection, node) => handleNode(state, connection, node),
      onClose: (connection) => this.#onClose(connection),
    }
  }

  /** Takes over an HTTP connection that wants to become a WebSocket. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { refusal } = this.#state
    if (refusal === 'reset') socket.destroy()
    else if (refusal === 'http_503') socket.end(UNAVAILABLE, () => socket.destroy())
    else this.#server.handleUpgrade(request, socket, head, (webSocket) => this.#open(webSocket))
  }

  [Symbol.dispose](): void {
    for (const connection of this.#connections) connection.terminate()
    this.#server.close()
  }

  #open(socket: WebSocket): void {
    this.#connections.add(new Connection(this.#state, socket, this.#handlers))
    this.#state.counters.connections = this.#connections.size
  }

  #onClose(connection: Connection): void {
    const { companion, linkRequest } = connection
    this.#connections.delete(connection)
    this.#state.counters.connections = this.#connections.size
    if (linkRequest) abandonLinking(this.#state, linkRequest)
    if (!companion) return
    if (companion.connection === connection) companion.connection = undefined
    updateUptime(this.#state, [companion])
    this.#state.events.emit('disconnected', { phone: companion.account.phone, jid: companion.jid })
    this.#state.changes.changed()
  }
}

async function handleNode(state: EmulatorState, connection: Connection, node: BinaryNode): Promise<void> {
  // A connection that was replaced, or whose companion was removed, has no say any more.
  if (connection.companion && connection.companion.connection !== connection) return
  switch (node.tag) {
    case 'iq':
      return handleIq(state, connection, node)
    case 'message':
      return handleMessage(state, connection, node)
    case 'receipt':
      return handleReceipt(state, connection, node)
    case 'ack':
      return handleAck(state, connection, node)
    case 'chatstate':
      return handleChatState(state, connection, node)
    default:
      // Presence, telemetry and the like: in the wire book, without consequence.
      return
  }
}
