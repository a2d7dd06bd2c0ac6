import { setTimeout as delay } from 'node:timers/promises'
import type { Emulator } from 'whatsapp-emulator'
import { until } from '../support/until.ts'

export interface TrafficOptions {
  emulator: Emulator
  phones: readonly string[]
  /** How many customers write within how many milliseconds, evenly. */
  customers: number
  durationMs: number
}

/** A customer who writes once and waits for the answer. */
interface Customer {
  phone: string
  to: string
  whatsappId: string
}

const FIRST_CUSTOMER = 4_917_900_000_000

/**
 * Customers who write to the sessions, each only once: every one must be answered, by one message. So what is lost and
 * what comes twice can be counted from the phones' own displays.
 */
export class Traffic {
  readonly #options: TrafficOptions
  readonly customers: Customer[] = []

  constructor(options: TrafficOptions) {
    this.#options = options
  }

  async run(): Promise<void> {
    const { emulator, phones, customers, durationMs } = this.#options
    const startedAt = performance.now()
    for (let n = 0; n < customers; n++) {
      const waitMs = startedAt + (n * durationMs) / customers - performance.now()
      if (waitMs > 1) await delay(waitMs)
      const to = phones[n % phones.length]
      if (to === undefined) throw new Error('There is nobody to write to.')
      const phone = String(FIRST_CUSTOMER + n)
      const { id } = await emulator.sendText({ from: phone, to, text: `Are you open today? I am customer ${n}.` })
      this.customers.push({ phone, to, whatsappId: id })
    }
  }

  /** Waits until everybody has an answer, but not for ever. */
  async answered(timeoutMs: number): Promise<void> {
    const waiting = new Set(this.customers)
    const isOver = async () => {
      for (const customer of waiting) if ((await this.answersTo(customer)) > 0) waiting.delete(customer)
      return waiting.size === 0
    }
    // Whoever has none after that counts as lost.
    await until('all customers are answered', isOver, { everyMs: 250, timeoutMs }).catch(() => undefined)
  }

  /** How many answers the customer's phone displays. */
  async answersTo({ phone, to }: Customer): Promise<number> {
    const chat = (await this.#options.emulator.chats(phone)).find((each) => each.with === to)
    return chat?.messages.filter(({ fromMe }) => !fromMe).length ?? 0
  }
}
