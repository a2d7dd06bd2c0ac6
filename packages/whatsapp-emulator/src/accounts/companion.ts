import { Uptime } from '../core/uptime.ts'
import type { CompanionFaults } from '../faults/companion-faults.ts'
import type { KeyBundle, SignedPreKey } from '../signal/key-bundle.ts'
import { lidJid, phoneNumberJid } from '../wire/jids.ts'
import type { BinaryNode } from '../wire/nodes.ts'
import type { Account } from './account.ts'
import { PendingStanzas } from './pending-stanzas.ts'
import { PreKeyPool } from './pre-key-pool.ts'

/** What the rest of the emulator needs of a companion's open connection. */
export interface CompanionConnection {
  /** The companion has asked for its messages; before that they wait. */
  readonly isActive: boolean
  readonly isStalled: boolean
  /** `encoded` spares the encoding when it was done ahead. */
  send(node: BinaryNode, encoded?: Buffer): void
  sendCorruptFrame(): void
  /** Gives the companion a moment to read what was sent last, then breaks the connection. */
  end(): void
  terminate(): void
  /** Another login has taken this connection's place: its end is told, and what still comes from it is counted. */
  replace(): void
  /** From here on nothing goes through in either direction. */
  stall(): void
}

export interface CompanionRegistration {
  noiseKey: Buffer
  identityKey: Buffer
  registrationId: number
  signedPreKey: SignedPreKey
  platform: string
  claimedPreKeys?: number | undefined
}

/** The companion's half of its identity as the phone signed it at the linking. */
export interface SignedIdentity {
  details: Buffer
  accountSignature: Buffer
  accountSignatureKey: Buffer
}

/** A linked device: what the server knows of it. */
export class Companion {
  readonly account: Account
  readonly id: number
  readonly noiseKey: Buffer
  readonly identityKey: Buffer
  readonly platform: string
  readonly claimedPreKeys: number | undefined
  readonly preKeys = new PreKeyPool()
  readonly pending = new PendingStanzas()
  readonly uptime = new Uptime()
  registrationId: number
  signedPreKey: SignedPreKey
  connection: CompanionConnection | undefined
  faults: CompanionFaults | undefined
  /** The companion was told that its pre-keys run out and has not uploaded new ones. */
  isPreKeyLowNotified = false
  /** The phone has sent what it sends once, after the first login. */
  hasHistory = false
  /** The companion has proved with a message that the phone signed its identity. */
  isIdentityProven = false
  /** Whether the companion signed its own identity at the linking; `provision` leaves that out. */
  readonly hasDeviceSignature: boolean

  constructor(account: Account, id: number, registration: CompanionRegistration, hasDeviceSignature: boolean) {
    this.account = account
    this.id = id
    this.noiseKey = registration.noiseKey
    this.identityKey = registration.identityKey
    this.registrationId = registration.registrationId
    this.signedPreKey = registration.signedPreKey
    this.platform = registration.platform
    this.claimedPreKeys = registration.claimedPreKeys
    this.hasDeviceSignature = hasDeviceSignature
  }

  get jid(): string {
    return phoneNumberJid(this.account.phone, this.id)
  }

  get lidJid(): string {
    return lidJid(this.account.lid, this.id)
  }

  takeBundle(): KeyBundle {
    const preKey = this.preKeys.take()
    return {
      registrationId: this.registrationId,
      identityKey: this.identityKey,
      signedPreKey: this.signedPreKey,
      ...(preKey && { preKey }),
    }
  }
}
