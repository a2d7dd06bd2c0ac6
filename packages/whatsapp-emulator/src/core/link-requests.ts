import type { Companion, CompanionRegistration, SignedIdentity } from '../accounts/companion.ts'
import type { BinaryNode } from '../wire/nodes.ts'

/** A phone has accepted the companion; it has to sign its identity now. */
interface LinkConfirmation {
  companion: Companion
  identity: SignedIdentity
  confirmed: PromiseWithResolvers<void>
}

/** One of the references that a companion makes its QR codes of, each valid for a while of its own. */
interface QrReference {
  text: string
  /** In milliseconds of `performance.now()`. */
  expiresAtMs: number
}

/** A companion shows a pairing code, which the server never learns, and waits for the phone's owner to type it. */
export interface AwaitedPairingCode {
  /** The only number whose owner can use the code. */
  phone: string
  ref: Buffer
  /** The companion's ephemeral public key, encrypted with the code. */
  wrappedEphemeral: Buffer
  /** While the phone waits for the companion's answer to a typed code: the companion's wrapped key bundle. */
  keyBundle?: PromiseWithResolvers<Buffer>
}

/** An unlinked companion that shows a QR code, or a pairing code, and waits for a phone. */
export interface LinkRequest {
  id: string
  refs: QrReference[]
  registration: CompanionRegistration
  since: Date
  /** The whole string of the QR code, when somebody has announced it. */
  qr?: string
  pairingCode?: AwaitedPairingCode
  confirmation?: LinkConfirmation
  send(node: BinaryNode): void
  /** The connection is gone: nothing is left to expire. */
  stopExpiry(): void
}

/** The companions that wait to be linked. A request ends with its connection. */
export class LinkRequests {
  readonly #requests = new Set<LinkRequest>()

  add(request: LinkRequest): void {
    this.#requests.add(request)
  }

  remove(request: LinkRequest): void {
    this.#requests.delete(request)
  }

  /** The request that has this reference, unless the reference has expired. */
  findByRef(ref: string): LinkRequest | undefined {
    const now = performance.now()
    for (const request of this.#requests)
      if (request.refs.some(({ text, expiresAtMs }) => text === ref && now < expiresAtMs)) return request
    return undefined
  }

  /** The newest request whose pairing code is for this number. */
  findByPairingPhone(phone: string): LinkRequest | undefined {
    return [...this.#requests].findLast(({ pairingCode }) => pairingCode?.phone === phone)
  }

  *[Symbol.iterator](): Iterator<LinkRequest> {
    yield* this.#requests
  }
}
