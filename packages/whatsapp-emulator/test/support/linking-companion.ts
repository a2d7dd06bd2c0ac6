import { setTimeout as delay } from 'node:timers/promises'
import makeWASocket, {
  type AuthenticationCreds,
  DisconnectReason,
  initAuthCreds,
  type SignalDataSet,
  type SignalDataTypeMap,
  type WAMessage,
  type WASocket,
} from 'baileys'
import { pino } from 'pino'

/**
 * Unmodified Baileys as a company's companion: it shows a QR code, is linked, comes back after the restart that linking
 * asks for, and then collects what it is sent. It does not come back from anything else.
 */
export class LinkingCompanion implements AsyncDisposable {
  readonly received: WAMessage[] = []
  /** The codes of `messages.update` for each of its own messages, oldest first. */
  readonly statuses = new Map<string, number[]>()
  qr: string | undefined
  isOpen = false
  /** The status code with which the connection ended for good. */
  closedWith: number | undefined
  readonly #url: string
  readonly #creds: AuthenticationCreds = initAuthCreds()
  readonly #keys = new Map<string, unknown>()
  #socket: WASocket

  constructor(url: string) {
    this.#url = url
    this.#socket = this.#connect()
  }

  get socket(): WASocket {
    return this.#socket
  }

  /** The texts received so far, in the order of their arrival. */
  get texts(): string[] {
    return this.received.map(({ message }) => message?.conversation ?? message?.extendedTextMessage?.text ?? '')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#socket.end(undefined)
  }

  #connect(): WASocket {
    const socket = makeWASocket({
      auth: { creds: this.#creds, keys: { get: this.#get, set: this.#set } },
      waWebSocketUrl: this.#url,
      logger: pino({ level: 'silent' }),
      markOnlineOnConnect: false,
      // Otherwise Baileys reports an own message after its first receipts, and these not at all.
      emitOwnEvents: false,
    })
    socket.ev.on('creds.update', (update) => Object.assign(this.#creds, update))
    socket.ev.on('connection.update', ({ qr, connection, lastDisconnect }) => {
      if (qr !== undefined) this.qr = qr
      if (connection === 'open') this.isOpen = true
      if (connection === 'close') this.#closed(lastDisconnect?.error)
    })
    socket.ev.on('messages.upsert', ({ messages }) => {
      this.received.push(...messages.filter(({ key }) => key.fromMe !== true))
    })
    socket.ev.on('messages.update', (updates) => {
      for (const { key, update } of updates) {
        if (typeof update.status === 'number')
          this.statuses.set(key.id ?? '', [...(this.statuses.get(key.id ?? '') ?? []), update.status])
      }
    })
    return socket
  }

  #closed(error: Error | undefined): void {
    this.isOpen = false
    const output: unknown = error === undefined ? undefined : Reflect.get(error, 'output')
    const code = typeof output === 'object' && output !== null ? Number(Reflect.get(output, 'statusCode')) : 0
    if (code === DisconnectReason.restartRequired) this.#socket = this.#connect()
    else this.closedWith = code
  }

  readonly #get = <Kind extends keyof SignalDataTypeMap>(kind: Kind, ids: string[]) => {
    const found: { [id: string]: SignalDataTypeMap[Kind] } = {}
    for (const id of ids) {
      const value = this.#keys.get(`${kind} ${id}`)
      // Only `#set` writes here, under the same kind.
      if (value !== undefined) found[id] = value as SignalDataTypeMap[Kind]
    }
    return found
  }

  readonly #set = (data: SignalDataSet): void => {
    for (const [kind, entries] of Object.entries(data)) {
      for (const [id, value] of Object.entries(entries)) {
        if (value === null) this.#keys.delete(`${kind} ${id}`)
        else this.#keys.set(`${kind} ${id}`, value)
      }
    }
  }
}

const TIMEOUT_MS = 20_000
const POLL_MS = 20

/** Waits until the condition holds, and then resolves. Rejects after 20 s with what was waited for. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`Waited in vain: ${what}`)
    await delay(POLL_MS)
  }
}
