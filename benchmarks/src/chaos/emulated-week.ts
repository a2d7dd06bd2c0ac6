import { setTimeout as delay } from 'node:timers/promises'
import type { Emulator } from 'whatsapp-emulator'
import type { GatewayProcess } from '../support/gateway-process.ts'
import { progress } from '../support/report.ts'
import type { Span } from './downtime.ts'
import type { Disaster, Happening, Mishap } from './week.ts'

/** How long WhatsApp's servers restart, and how long the network is away. */
const RESTART_MS = 20_000
const OUTAGE_MS = 180_000

export interface EmulatedWeekOptions {
  emulator: Emulator
  /** The number of each session. */
  phones: readonly string[]
  happenings: readonly Happening[]
  /** How much shorter the waiting is than it would be. */
  factor: number
  /** Ends the gateway that runs and starts the next one. */
  deploy: (running: GatewayProcess) => Promise<GatewayProcess>
}

/** What each session went through, by its number; milliseconds of the epoch. */
export interface SessionWeek {
  down: Span[]
  /** Open but dead: nobody could know yet. */
  stalled: Span[]
  reconnects: number
}

/** Lets everything happen at its moment and keeps the books of who was connected, as WhatsApp sees it. */
export class EmulatedWeek {
  readonly #options: EmulatedWeekOptions
  readonly #weeks: Map<string, SessionWeek & { downSinceMs?: number; stalledSinceMs?: number }>
  /** When WhatsApp let nobody in. */
  readonly refused: Span[] = []

  constructor(options: EmulatedWeekOptions) {
    this.#options = options
    this.#weeks = new Map(options.phones.map((phone) => [phone, { down: [], stalled: [], reconnects: 0 }]))
    const { emulator } = options
    emulator.on('disconnected', ({ phone }) => this.#lost(phone))
    emulator.on('login', ({ phone }) => this.#found(phone))
  }

  /** Resolves with the gateway that runs in the end. */
  async run(first: GatewayProcess): Promise<GatewayProcess> {
    const startedAt = performance.now()
    const disasters: Promise<void>[] = []
    let gateway = first
    for (const happening of this.#options.happenings) {
      const waitMs = startedAt + happening.atMs - performance.now()
      if (waitMs > 1) await delay(waitMs)
      if ('mishap' in happening) {
        await this.#befall(this.#options.phones[happening.session] ?? '', happening.mishap)
        continue
      }
      progress(`${happening.disaster.replaceAll('_', ' ')}`)
      if (happening.disaster === 'deployment') gateway = await this.#options.deploy(gateway)
      else disasters.push(this.#strike(happening.disaster))
    }
    await Promise.all(disasters)
    return gateway
  }

  /** Whether every session is connected now. */
  get areAllConnected(): boolean {
    return [...this.#weeks.values()].every(({ downSinceMs }) => downSinceMs === undefined)
  }

  weekOf(phone: string): SessionWeek {
    return this.#weeks.get(phone) ?? { down: [], stalled: [], reconnects: 0 }
  }

  async #befall(phone: string, mishap: Mishap): Promise<void> {
    const week = this.#weeks.get(phone)
    // Trouble for a session that is down already is no more trouble.
    if (week === undefined || week.downSinceMs !== undefined) return
    switch (mishap.kind) {
      case 'lost_acks':
        await this.#options.emulator.fault({ kind: 'lose_acks', phone, count: 3 })
        break
      case 'stall':
        this.#stall(phone)
        break
      case 'stream_error':
        await this.#options.emulator.fault({ kind: 'stream_error', code: mishap.code, phone })
        break
      default:
        await this.#options.emulator.fault({ kind: mishap.kind, phone })
    }
  }

  async #strike(disaster: Exclude<Disaster, 'deployment'>): Promise<void> {
    const { emulator, phones, factor } = this.#options
    const fromMs = Date.now()
    if (disaster === 'whatsapp_restart') {
      await emulator.fault({ kind: 'refuse_connections', isOn: true, how: 'http_503' })
      await emulator.fault({ kind: 'stream_error', code: '503' })
      await delay(RESTART_MS / factor)
    } else {
      await emulator.fault({ kind: 'refuse_connections', isOn: true, how: 'reset' })
      for (const phone of phones) this.#stall(phone)
      await delay(OUTAGE_MS / factor)
    }
    await emulator.fault({ kind: 'refuse_connections', isOn: false })
    this.refused.push({ fromMs, toMs: Date.now() })
  }

  /** The socket stays open, and nothing goes through any more. */
  #stall(phone: string): void {
    const week = this.#weeks.get(phone)
    if (week === undefined || week.downSinceMs !== undefined) return
    void this.#options.emulator.fault({ kind: 'stall', phone })
    week.downSinceMs = Date.now()
    week.stalledSinceMs = week.downSinceMs
  }

  #lost(phone: string): void {
    const week = this.#weeks.get(phone)
    if (week === undefined) return
    const nowMs = Date.now()
    if (week.stalledSinceMs !== undefined) week.stalled.push({ fromMs: week.stalledSinceMs, toMs: nowMs })
    delete week.stalledSinceMs
    week.downSinceMs ??= nowMs
  }

  #found(phone: string): void {
    const week = this.#weeks.get(phone)
    if (week?.downSinceMs === undefined) return
    const nowMs = Date.now()
    // A stalled connection that was replaced rather than closed.
    if (week.stalledSinceMs !== undefined) week.stalled.push({ fromMs: week.stalledSinceMs, toMs: nowMs })
    delete week.stalledSinceMs
    week.down.push({ fromMs: week.downSinceMs, toMs: nowMs })
    week.reconnects += 1
    delete week.downSinceMs
  }
}
