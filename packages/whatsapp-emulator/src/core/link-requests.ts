import type { Companion, CompanionRegistration, SignedIdentity } from '../accounts/companion.ts'
import type { BinaryNode } from '../wire/nodes.ts'

/** A phone has accepted the companion; it has to sign its identity now. */
interface LinkConfirmation {
  companion: Companion
  identity: SignedIdentity
  confirmed: PromiseWithResolvers<void>
}

/** An unlinked companion that shows a QR code and waits for a phone. */
export interface LinkRequest {
  id: string
  refs: string[]
  registration: CompanionRegistration
  since: Date
  /** The whole string of the code, when somebody has announced it. */
  qr?: string
  confirmation?: LinkConfirmation
  send(node: BinaryNode): void
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

  findByRef(ref: string): LinkRequest | undefined {
    for (const request of this.#requests) if (request.refs.includes(ref)) return request
    return undefined
  }

  *[Symbol.iterator](): Iterator<LinkRequest> {
    yield* this.#requests
  }
}
