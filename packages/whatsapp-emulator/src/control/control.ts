/**
 * What can be asked of a running emulator. The library's object, the typed HTTP client and `POST /control/<method>` all
 * offer exactly this. Phone numbers are digits only, country code first; every number exists as a customer on first use.
 *
 * Over HTTP the body is the method's one argument as JSON (no body where there is none), the answer is the result as
 * JSON (`204` where there is none), and a refusal is `{ "error": "<sentence>" }` with status 400, or 404 for a method
 * that does not exist. `GET /control/changes` is a stream of server-sent events named `changed`, one whenever phones,
 * chats or pending links may have changed.
 */
export interface EmulatorControl {
  info(): Promise<EmulatorInfo>
  phones(): Promise<Phone[]>
  /** Companions that are showing a QR code or a pairing code now and wait for a phone. */
  pendingLinks(): Promise<PendingLink[]>
  /**
   * Tells the emulator which QR code a companion is displaying, so that it can be picked from `pendingLinks` instead of
   * being pasted. The server alone cannot know it: the code holds a secret that the companion shows and never sends.
   */
  announceQr(announcement: { qr: string }): Promise<void>
  /**
   * The phone scans the string that the QR code holds. Resolves when the companion has confirmed the link with a valid
   * device signature. Fails as a phone would: unknown, expired or forged code, or a number that may link no devices.
   */
  scanQr(scan: { phone: string; qr: string }): Promise<{ jid: string; lid: string }>
  /**
   * The phone's owner types the pairing code that a companion shows for this number, with or without its hyphen.
   * Resolves as `scanQr` does. Fails as a phone would: a wrong code, after which the right one can still be typed; a code
   * that was asked for another number, has expired, or was replaced; a number that may link no devices.
   */
  enterPairingCode(entry: { phone: string; code: string }): Promise<{ jid: string; lid: string }>
  /** A phone writes to another number; linked companions of that number receive it, each with its own Signal session. */
  sendText(message: SendText): Promise<{ id: string }>
  /** `from` is typing to `to`, or has stopped. */
  setTyping(typing: { from: string; to: string; isTyping: boolean }): Promise<void>
  /** `phone` opens its chat with `from` and reads everything there: read receipts go out. */
  markRead(chat: { phone: string; from: string }): Promise<void>
  /** The phone's owner removes linked devices (all, or one) under Linked devices. */
  unlink(device: { phone: string; deviceId?: number }): Promise<void>
  /** Registers a companion without the linking round trips, for tests and benchmarks with many sessions. */
  provision(companions: CompanionKeys[]): Promise<ProvisionedCompanion[]>
  /** Makes something go wrong; see `Fault`. */
  fault(fault: Fault): Promise<void>
  configure(behaviour: Partial<Behaviour>): Promise<void>
  /** The name that the phone's owner has given himself, and others see. */
  setName(owner: { phone: string; name: string }): Promise<void>
  /** Book one: every stanza that went over the wire, oldest first. Bounded; `after` is the last entry's number. */
  wire(query?: { after?: number; limit?: number }): Promise<WireEntry[]>
  /** Book two: what this phone would display in its chats, copies with an id already seen dropped. */
  chats(phone: string): Promise<Chat[]>
  counters(): Promise<Counters>
  /** How long each companion, or each of one phone, was connected, and how often it logged in. */
  companionStats(query?: { phone?: string }): Promise<CompanionStats[]>
  /** Lets `companionStats` count from now on. */
  resetStats(): Promise<void>
  /** Encrypts messages ahead so that `fireBurst` measures the receiver and not the emulator. */
  prepareBurst(burst: Burst): Promise<{ count: number; preKeyMessages: number }>
  /** Sends the prepared burst: all at once, or `perSecond`. Resolves, when all are sent, with each id and its sending time. */
  fireBurst(pace?: { perSecond?: number }): Promise<SentAt[]>
  /** Stanzas delivered to companions and not yet acknowledged by them. */
  pending(): Promise<number>
}

export interface EmulatorInfo {
  /** For Baileys' `waWebSocketUrl`. */
  url: string
  /** Public key of the root that signs the Noise certificates, hex. */
  rootKey: string
  /** The page of simulated phones. */
  pageUrl: string
}

export interface Phone {
  phone: string
  lid: string
  name: string
  devices: { id: number; jid: string; platform: string; isConnected: boolean }[]
  chats: { with: string; name: string; unread: number; isTyping: boolean; last?: ChatMessage }[]
}

export interface PendingLink {
  id: string
  /** The string for `scanQr`. Known only when whoever shows the code has announced it (`announceQr`). */
  qr?: string
  /** The number whose owner may type the pairing code for `enterPairingCode`, when the companion has asked for one. */
  pairingPhone?: string
  /** What the phone would show under Linked devices, such as `Chrome (Ubuntu)`. */
  platform: string
  since: string
}

export interface SendText {
  from: string
  to: string
  text: string
  /** How the sender is addressed on the wire: by phone number or by LID. */
  addressing?: 'pn' | 'lid'
  /** The stanza's id; a new one by default. */
  id?: string
  /** Flips a bit of the ciphertext, so that the companion has to ask for a retry. */
  isCorrupt?: boolean
}

export interface ChatMessage {
  id: string
  fromMe: boolean
  text: string
  /** The protobuf field that held it, such as `conversation`. */
  type: string
  at: string
  /** Of an own message: how far it came. */
  status: 'pending' | 'sent' | 'delivered' | 'read'
}

export interface Chat {
  with: string
  messages: ChatMessage[]
}

/** A companion's public keys as base64, as Baileys' `initAuthCreds` makes them. */
export interface CompanionKeys {
  phone: string
  noiseKey: string
  identityKey: string
  registrationId: number
  signedPreKey: { id: number; key: string; signature: string }
  /** How many pre-keys the server claims to hold, so that the companion uploads none. */
  claimedPreKeys?: number
}

export interface ProvisionedCompanion {
  jid: string
  lid: string
  /** For `creds.account`, each as base64. */
  account: { details: string; accountSignature: string; accountSignatureKey: string }
}

/** Companions to hit: all connected ones, or those of one phone. */
interface Target {
  phone?: string
}

export type StreamErrorCode = '401' | '403' | '405' | '408' | '411' | '428' | '440' | '500' | '503' | '515'

export type Fault =
  /** The server ends the stream so that a client reports this code. 401 also unlinks the device. */
  | (Target & { kind: 'stream_error'; code: StreamErrorCode })
  | (Target & { kind: 'stream_end' })
  /** The TCP connection breaks without a word. */
  | (Target & { kind: 'drop' })
  /** The socket stays open and nothing goes through any more, until the companion connects anew. */
  | (Target & { kind: 'stall' })
  | (Target & { kind: 'corrupt_frame' })
  /** Acks of the companion's messages: held back, or swallowed, for the next `count` messages. */
  | (Target & { kind: 'delay_acks'; delayMs: number; count: number })
  | (Target & { kind: 'lose_acks'; count: number })
  /** The server refuses the companion's next `count` messages: too many (429), or a restricted account (463). */
  | (Target & { kind: 'refuse_messages'; count: number; error: '429' | '463' })
  /** The next `count` messages to the companion come without their content; it has to ask its phone for them. */
  | (Target & { kind: 'unavailable_messages'; count: number })
  /** The next `count` stanzas to the companion are sent twice, or swapped in pairs. */
  | (Target & { kind: 'duplicate'; count: number })
  | (Target & { kind: 'reorder'; count: number })
  /** usync names no devices for this number, as for one that is not on WhatsApp, while this is on (the default). */
  | { kind: 'no_devices'; phone: string; isOn?: boolean }
  /**
   * This number can link no devices while this is on: too many attempts were made (`throttled`, the default), or WhatsApp
   * has restricted the account (`blocked`). Companions that ask for a pairing code are refused, and the phone refuses what
   * its owner scans or types.
   */
  | { kind: 'refuse_linking'; phone: string; isOn: boolean; how?: 'throttled' | 'blocked' }
  /** This phone lost its Signal sessions, as after a reinstallation: what it is sent cannot be decrypted and is asked for again. */
  | { kind: 'lose_sessions'; phone: string }
  /** New connections are refused while this is on: reset (the default), or answered with HTTP status 503. */
  | { kind: 'refuse_connections'; isOn: boolean; how?: 'reset' | 'http_503' }
  /**
   * Logins of this number, or of all, fail with this reason: the next `count`, or all while this is on. Without a phone
   * companions that want to be linked are refused too. A temporary ban (402) tells when it expires, after `banSeconds`
   * (3,600 by default), and ends then.
   */
  | (Target & { kind: 'refuse_logins'; isOn: true; reason: LoginFailure; count?: number; banSeconds?: number })
  | (Target & { kind: 'refuse_logins'; isOn: false })

/** Logged out, temporarily banned, banned or locked, outdated, banned, wrong device, server error, unavailable. */
export type LoginFailure = '401' | '402' | '403' | '405' | '406' | '411' | '500' | '503'

export interface Behaviour {
  /**
   * Phones acknowledge what they receive by themselves: not at all, delivered, or delivered and read (the default). A
   * phone with companions never does: its companions do.
   */
  receipts: 'none' | 'delivered' | 'read'
  /** How long a phone takes between delivery and reading, milliseconds; 0 by default. */
  readDelayMs: number
  /** Peer messages (app-state key, history) after the first login; on by default. */
  sendsHistory: boolean
  /** Phones ask for a retry of what they cannot decrypt; on by default. */
  asksRetry: boolean
  /** Keeps the two books; on by default, off for benchmarks with many messages. */
  keepsBooks: boolean
  /**
   * How long a companion's first QR code is valid, and each of the five later ones, milliseconds; 60,000 and 20,000 by
   * default. When a later one's time has passed since the last expired, the server ends the stream.
   */
  qrValidityMs: { first: number; later: number }
  /** Clients of an older version are refused as outdated (405); all versions are good enough by default. */
  oldestVersion: [number, number, number]
}

export interface WireEntry {
  number: number
  at: string
  direction: 'to_companion' | 'from_companion'
  jid: string
  tag: string
  attrs: Record<string, string>
  children: string[]
  /** The types of the ciphertexts that a message holds, such as `pkmsg`. */
  ciphertexts?: string[]
}

/** Totals since the start, except for the connections. */
export interface Counters {
  /** Open now. */
  connections: number
  logins: number
  /** Logins while another connection of the same companion was open and alive. */
  replacedLogins: number
  /** Frames that came from a connection after another login had taken its place. */
  framesAfterReplacement: number
  messagesFromCompanions: number
  decrypted: number
  decryptFailures: number
  receipts: number
  retryReceipts: number
  acks: number
  /** Queries by namespace, type and first child, such as `usync/get/usync`. */
  iqs: Record<string, number>
}

/** What the server saw of a companion since its linking, or since `resetStats`. */
export interface CompanionStats {
  phone: string
  jid: string
  logins: number
  /** Logged in, and not by a stalled connection. */
  connectedMs: number
  /** Not connected although the emulator would have taken a login. */
  disconnectedMs: number
  /** Not connected while `refuse_connections` or `refuse_logins` was on for it. */
  refusedMs: number
}

export interface Burst {
  /** Linked numbers that are written to. */
  to: string[]
  /** How many different customers write to each of them. */
  customers: number
  /** Messages to each of them, taking turns among its customers. */
  each: number
  text?: string
}

export interface SentAt {
  id: string
  to: string
  from: string
  text: string
  /** Milliseconds of `performance.timeOrigin + performance.now()` at the sending. */
  atMs: number
}
