import { setImmediate, setTimeout } from 'node:timers/promises'
import { encodeBinaryNode } from 'baileys'
import type { Account } from '../accounts/account.ts'
import type { Companion } from '../accounts/companion.ts'
import type { Burst, SentAt } from '../control/control.ts'
import { ControlError } from '../control/control-error.ts'
import { deliver } from '../core/delivery.ts'
import type { EmulatorState } from '../core/state.ts'
import type { BinaryNode } from '../wire/nodes.ts'
import { newMessageId } from '../wire/stanza-id.ts'
import { displayAtBoth, encryptedStanza } from './sending.ts'

const FIRST_CUSTOMER = 491_550_000_000
/** So many steps of work, then everybody else has a turn. */
const STEPS_BEFORE_YIELD = 128
const TICK_MS = 1

interface PreparedMessage {
  from: Account
  to: Account
  id: string
  text: string
  stanzas: { companion: Companion; node: BinaryNode; encoded: Buffer }[]
}

/** Messages of many customers, encrypted and encoded ahead, so that the sending costs next to nothing. */
export class BurstRunner {
  readonly #state: EmulatorState
  #prepared: PreparedMessage[] = []
  #customers = 0

  constructor(state: EmulatorState) {
    this.#state = state
  }

  /** Replaces a burst that was prepared before. Throws `ControlError` for a number that nobody has linked. */
  async prepare({ to, customers, each, text = 'hello' }: Burst): Promise<{ count: number; preKeyMessages: number }> {
    const targets = to.map((phone) => this.#target(phone))
    this.#prepared = []
    let preKeyMessages = 0
    for (let round = 0; round < each; round++) {
      for (const target of targets) {
        const message = await this.#encrypt(target, this.#customer(target, round % customers), `${text} ${round}`)
        this.#prepared.push(message)
        if (message.stanzas.some(({ node }) => isPreKeyMessage(node))) preKeyMessages++
        if (this.#prepared.length % STEPS_BEFORE_YIELD === 0) await setImmediate()
      }
    }
    return { count: this.#prepared.length, preKeyMessages }
  }

  /** Sends all of it, at once or at a pace. Throws `ControlError` when the emulator is closed meanwhile. */
  async fire({ perSecond = Number.POSITIVE_INFINITY }: { perSecond?: number } = {}): Promise<SentAt[]> {
    const burst = this.#prepared
    this.#prepared = []
    const startMs = performance.now()
    const sent: SentAt[] = []
    while (sent.length < burst.length) {
      if (this.#state.timers.isClosed) throw new ControlError('The emulator was closed in the middle of the burst.')
      const due = Math.min(burst.length, sent.length + STEPS_BEFORE_YIELD, this.#due(startMs, perSecond))
      for (const message of burst.slice(sent.length, due)) sent.push(this.#send(message))
      if (Number.isFinite(perSecond)) await setTimeout(TICK_MS)
      else await setImmediate()
    }
    return sent
  }

  #due(startMs: number, perSecond: number): number {
    return Number.isFinite(perSecond) ? Math.ceil(((performance.now() - startMs) / 1000) * perSecond) : Infinity
  }

  #send({ from, to, id, text, stanzas }: PreparedMessage): SentAt {
    const atMs = performance.timeOrigin + performance.now()
    for (const { companion, node, encoded } of stanzas) deliver(this.#state, companion, node, { encoded })
    displayAtBoth(this.#state, from, { id, to, body: { conversation: text }, addressing: 'pn', isPeer: false })
    return { id, to: to.phone, from: from.phone, text, atMs }
  }

  async #encrypt(to: Account, from: Account, text: string): Promise<PreparedMessage> {
    const id = newMessageId()
    const message = { id, body: { conversation: text }, to, addressing: 'pn' as const, isPeer: false }
    from.rememberSent(message)
    const stanzas = []
    for (const companion of to.companions.values()) {
      const node = await encryptedStanza(this.#state, from, message, companion)
      stanzas.push({ companion, node, encoded: encodeBinaryNode(node) })
    }
    return { from, to, id, text, stanzas }
  }

  #target(phone: string): Account {
    const account = this.#state.directory.account(phone)
    if (account.companions.size === 0) throw new ControlError(`No companion is linked to ${phone}: link one first.`)
    return account
  }

  /** The same customers in every burst, so that later ones continue the Signal sessions of the earlier ones. */
  #customer(target: Account, index: number): Account {
    let phone = target.burstCustomers[index]
    if (phone === undefined) {
      phone = String(FIRST_CUSTOMER + this.#customers++)
      target.burstCustomers[index] = phone
    }
    return this.#state.directory.account(phone)
  }
}

function isPreKeyMessage(node: BinaryNode): boolean {
  return Array.isArray(node.content) && node.content.some((child) => child.attrs['type'] === 'pkmsg')
}
