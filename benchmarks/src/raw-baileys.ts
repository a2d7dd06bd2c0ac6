import makeWASocket, {
  type AuthenticationCreds,
  Curve,
  generateSignalPubKey,
  type SignalDataSet,
  type SignalDataTypeMap,
  type SignalKeyStore,
  WA_CERT_DETAILS,
  type WASocket,
} from 'baileys'
import pino from 'pino'
import { verifySignature } from 'whatsapp-rust-bridge'

/**
 * The rival: Baileys from npm without a patch, in the leanest configuration that is known and with Signal keys in
 * memory. It is faster than any real deployment, since nothing survives its process.
 */
export interface RawSession {
  readonly socket: WASocket
  /** Resolves with the time from the start to WhatsApp's welcome, milliseconds; rejects when the connection fails. */
  readonly opened: Promise<number>
}

/** Trusts the emulator's certificates, and replaces Baileys' signature check by one that is 80 times faster. */
export function prepareBaileys(rootKey: string): void {
  WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(rootKey, 'hex')
  Curve.verify = (publicKey, message, signature) =>
    verifySignature(generateSignalPubKey(publicKey), message, signature) === true
}

export function openRawSession(options: { url: string; name: string; creds: AuthenticationCreds }): RawSession {
  const { url, name, creds } = options
  const startedAt = performance.now()
  const socket = makeWASocket({
    auth: { creds, keys: keysInMemory() },
    waWebSocketUrl: url,
    logger,
    msgRetryCounterCache: sharedCache(`${name}/retries/`),
    userDevicesCache: sharedCache(`${name}/devices/`),
    callOfferCache: sharedCache(`${name}/calls/`),
    placeholderResendCache: sharedCache(`${name}/placeholders/`),
    // 63 KB a session: two lists for retries that are allocated in full at the start.
    enableRecentMessageCache: false,
    syncFullHistory: false,
    markOnlineOnConnect: false,
    emitOwnEvents: false,
  })
  socket.ev.on('creds.update', (update) => Object.assign(creds, update))
  const opened = new Promise<number>((resolve, reject) => {
    socket.ev.on('connection.update', ({ connection, lastDisconnect }) => {
      if (connection === 'open') resolve(performance.now() - startedAt)
      if (connection === 'close') reject(lastDisconnect?.error ?? new Error('The connection was closed.'))
    })
  })
  return { socket, opened }
}

const logger = pino({ level: 'silent' })

/** All sessions share one map: a cache object for each costs more memory than the rest of the session. */
const entries = new Map<string, unknown>()

const sharedCache = (prefix: string) => ({
  get: <Value>(key: string) => entries.get(prefix + key) as Value | undefined,
  set: <Value>(key: string, value: Value) => {
    entries.set(prefix + key, value)
  },
  del: (key: string) => {
    entries.delete(prefix + key)
  },
  flushAll: () => undefined,
})

function keysInMemory(): SignalKeyStore {
  const values = new Map<string, unknown>()
  return {
    get: <Kind extends keyof SignalDataTypeMap>(kind: Kind, ids: string[]) => {
      const found: Record<string, SignalDataTypeMap[Kind]> = {}
      for (const id of ids) {
        const value = values.get(`${kind}/${id}`)
        if (value !== undefined) found[id] = value as SignalDataTypeMap[Kind]
      }
      return found
    },
    set: (data: SignalDataSet) => {
      for (const [kind, changes] of Object.entries(data)) {
        for (const [id, value] of Object.entries(changes)) {
          if (value === null) values.delete(`${kind}/${id}`)
          else values.set(`${kind}/${id}`, value)
        }
      }
    },
  }
}
