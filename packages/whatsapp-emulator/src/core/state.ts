import { Directory } from '../accounts/directory.ts'
import { WireBook } from '../books/wire-book.ts'
import type { Behaviour, Counters } from '../control/control.ts'
import type { LoginRefusal } from '../faults/login-refusal.ts'
import { type CertificateChain, makeCertificateChain } from '../noise/certificate-chain.ts'
import { ChangeFeed } from './change-feed.ts'
import { EventHub } from './event-hub.ts'
import type { EmulatorEvents } from './events.ts'
import { LinkRequests } from './link-requests.ts'
import { Timers } from './timers.ts'

/** What all parts of one emulator share. */
export interface EmulatorState {
  readonly certificates: CertificateChain
  readonly directory: Directory
  readonly linkRequests: LinkRequests
  readonly behaviour: Behaviour
  readonly counters: Counters
  readonly wireBook: WireBook
  readonly events: EventHub<EmulatorEvents>
  readonly timers: Timers
  readonly changes: ChangeFeed
  /** Stanzas that companions were sent, or will be, and have not acknowledged. */
  pendingStanzas: number
  /** How new connections are refused now, if they are. */
  refusal: 'reset' | 'http_503' | undefined
  /** How the next logins of all numbers are refused, if they are. */
  loginRefusal: LoginRefusal | undefined
}

const DEFAULT_BEHAVIOUR: Behaviour = {
  receipts: 'read',
  readDelayMs: 0,
  sendsHistory: true,
  asksRetry: true,
  keepsBooks: true,
  qrValidityMs: { first: 60_000, later: 20_000 },
  oldestVersion: [0, 0, 0],
}

export function makeEmulatorState(behaviour: Partial<Behaviour> = {}): EmulatorState {
  const timers = new Timers()
  return {
    certificates: makeCertificateChain(),
    directory: new Directory(),
    linkRequests: new LinkRequests(),
    behaviour: { ...DEFAULT_BEHAVIOUR, ...behaviour },
    counters: {
      connections: 0,
      logins: 0,
      replacedLogins: 0,
      framesAfterReplacement: 0,
      messagesFromCompanions: 0,
      decrypted: 0,
      decryptFailures: 0,
      receipts: 0,
      retryReceipts: 0,
      acks: 0,
      iqs: {},
    },
    wireBook: new WireBook(),
    events: new EventHub(),
    timers,
    changes: new ChangeFeed((delayMs, task) => timers.after(delayMs, task)),
    pendingStanzas: 0,
    refusal: undefined,
    loginRefusal: undefined,
  }
}
