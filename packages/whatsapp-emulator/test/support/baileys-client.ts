import makeWASocket, {
  type BaileysEventMap,
  type BinaryNode,
  type UserFacingSocketConfig,
  type WAMessage,
  type WAMessageUpdate,
  type WASocket,
} from 'baileys'
import pino from 'pino'
import type { Emulator, EmulatorInfo } from '../../src/index.ts'
import { MemoryStore } from './memory-store.ts'
import { until } from './until.ts'

export interface Received {
  message: WAMessage
  /** `notify` for a message that came while connected, `append` for one that had waited. */
  upsert: string
}

/** An unmodified Baileys with an in-memory store, that remembers what it was told. */
export class BaileysClient implements Disposable {
  readonly socket: WASocket
  readonly store: MemoryStore
  readonly received: Received[] = []
  readonly updates: WAMessageUpdate[] = []
  readonly typing: { from: string; state: string | undefined }[] = []
  readonly acks: BinaryNode[] = []
  readonly qrs: string[] = []
  isOpen = false
  hasPending = false
  /** The status with which the connection ended. */
  closeCode: number | undefined
  closeReason: string | undefined
  /** What the server said to it. */
  closeData: unknown
  readonly histories: BaileysEventMap['messaging-history.set'][] = []

  constructor(
    emulator: Pick<EmulatorInfo, 'url'>,
    store = new MemoryStore(),
    config: Partial<UserFacingSocketConfig> = {},
  ) {
    this.store = store
    this.socket = makeWASocket({
      auth: store.auth,
      waWebSocketUrl: emulator.url,
      logger: pino({ level: 'silent' }),
      emitOwnEvents: false,
      ...config,
    })
    const { ev, ws } = this.socket
    ev.on('creds.update', (update) => store.save(update))
    ev.on('messages.upsert', ({ messages, type }) => {
      for (const message of messages) this.received.push({ message, upsert: type })
    })
    ev.on('messaging-history.set', (history) => this.histories.push(history))
    ev.on('messages.update', (updates) => this.updates.push(...updates))
    ev.on('presence.update', ({ id, presences }) => {
      this.typing.push({ from: id, state: presences[id]?.lastKnownPresence })
    })
    ev.on('connection.update', ({ qr, connection, lastDisconnect, receivedPendingNotifications }) => {
      if (qr !== undefined) this.qrs.push(qr)
      if (receivedPendingNotifications) this.hasPending = true
      if (connection === 'open') this.isOpen = true
      if (connection !== 'close') return
      this.isOpen = false
      const error = lastDisconnect?.error
      this.closeCode = error && 'output' in error ? (error.output as { statusCode: number }).statusCode : 0
      this.closeReason = error?.message
      this.closeData = error && 'data' in error ? error.data : undefined
    })
    ws.on('CB:ack,class:message', (node: BinaryNode) => this.acks.push(node))
  }

  async opened(): Promise<this> {
    await until('Baileys was online', () => {
      if (this.closeCode !== undefined) throw new Error(`Baileys was closed with ${this.closeCode} ${this.closeReason}`)
      return this.isOpen && this.hasPending
    })
    return this
  }

  closed(): Promise<number> {
    return until('Baileys was closed', () => this.closeCode)
  }

  /** The QR code that is shown, as soon as there is one. */
  qr(): Promise<string> {
    return until('Baileys showed a QR code', () => this.qrs.at(-1))
  }

  /** Asks for a pairing code for this number, and returns it and the server's answer. */
  async pairingCode(phone: string): Promise<{ code: string; answer: BinaryNode }> {
    await this.qr()
    const answered = new Promise<BinaryNode>((resolve) => {
      this.socket.ws.on('frame', (node: BinaryNode) => {
        const isAnswer = node.tag === 'iq' && (node.attrs['type'] === 'result' || node.attrs['type'] === 'error')
        if (isAnswer) resolve(node)
      })
    })
    const code = await this.socket.requestPairingCode(phone)
    return { code, answer: await answered }
  }

  texts(): string[] {
    return this.received.flatMap(({ message }) => textOf(message) ?? [])
  }

  /** The first message with this text. */
  async text(text: string): Promise<Received> {
    return until(`Baileys received "${text}"`, () => this.received.find(({ message }) => textOf(message) === text))
  }

  statuses(id: string): (number | null | undefined)[] {
    return this.updates.filter(({ key, update }) => key.id === id && update.status != null).map((u) => u.update.status)
  }

  /** Sends a text and returns its id. */
  async send(jid: string, text: string): Promise<string> {
    const sent = await this.socket.sendMessage(jid, { text })
    if (!sent?.key.id) throw new Error('Baileys gave the message no id')
    return sent.key.id
  }

  async end(): Promise<void> {
    await this.socket.end(undefined)
    await this.closed()
  }

  [Symbol.dispose](): void {
    if (this.closeCode === undefined) void this.socket.end(undefined)
  }
}

/** Links a new companion to a phone by its QR code and logs it in. */
export async function linkBaileys(
  emulator: Emulator,
  phone: string,
  config: Partial<UserFacingSocketConfig> = {},
): Promise<BaileysClient> {
  using linking = new BaileysClient(emulator, undefined, config)
  await emulator.scanQr({ phone, qr: await linking.qr() })
  const code = await linking.closed()
  if (code !== 515) throw new Error(`Baileys was closed with ${code} instead of being told to connect again`)
  return new BaileysClient(emulator, linking.store, config).opened()
}

/** Logs a companion in that was registered without being linked. */
export async function provisionBaileys(
  emulator: Emulator,
  phone: string,
  config: Partial<UserFacingSocketConfig> = {},
): Promise<BaileysClient> {
  const store = new MemoryStore()
  const { creds } = store
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
  const [companion] = await emulator.provision([
    {
      phone,
      noiseKey: base64(creds.noiseKey.public),
      identityKey: base64(creds.signedIdentityKey.public),
      registrationId: creds.registrationId,
      signedPreKey: {
        id: creds.signedPreKey.keyId,
        key: base64(creds.signedPreKey.keyPair.public),
        signature: base64(creds.signedPreKey.signature),
      },
      claimedPreKeys: 800,
    },
  ])
  if (!companion) throw new Error('The emulator provisioned no companion')
  const { details, accountSignature, accountSignatureKey } = companion.account
  store.save({
    me: { id: companion.jid, lid: companion.lid, name: 'Provisioned' },
    account: {
      details: Buffer.from(details, 'base64'),
      accountSignature: Buffer.from(accountSignature, 'base64'),
      accountSignatureKey: Buffer.from(accountSignatureKey, 'base64'),
    },
    accountSyncCounter: 1,
    registered: true,
  })
  return new BaileysClient(emulator, store, config).opened()
}

function textOf({ message }: WAMessage): string | undefined {
  return message?.conversation ?? message?.extendedTextMessage?.text ?? undefined
}
