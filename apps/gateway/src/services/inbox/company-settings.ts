import {
  type BusinessSettings,
  type CompanySettings,
  companySettings,
  type HandoffSettings,
  type OpeningHours,
  type OptOutSettings,
  type QuietHoursSettings,
  type ResponderSettings,
} from '@frontdesk/api-contract'
import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import { handoffTimes } from '#src/services/conversations/handoff-times.ts'
import { readCompanySettings } from '#src/storage/companies.ts'
import type { WorkerDatabase } from '#src/storage/database.ts'
import type { BatchingSettings } from './batch.ts'
import { isOpen } from './opening-hours.ts'

/** How soon a change of settings is noticed, milliseconds. */
const FRESH_MS = 1000
const MAX_COMPANIES = 10_000

/** A company's settings with the deployment's in place of what the company left out. */
export interface EffectiveSettings {
  batching: BatchingSettings
  optOut: OptOutSettings
  /** The same object until it changes. */
  responders: readonly ResponderSettings[]
  fallback: string | undefined
  business: BusinessSettings
  openingHours: OpeningHours | undefined
  /** Whether the company is open then; undefined where it has set no hours. */
  isOpen: (at: Date) => boolean | undefined
  handoff: HandoffSettings & { waitingMs: number; pauseMs: number }
  quietHours: QuietHoursSettings | undefined
  ignore: ReadonlySet<string>
}

const NOBODY: ResponderSettings[] = [{ kind: 'none' }]

interface Known {
  json: string
  settings: EffectiveSettings
}

export interface CompanySettingsOptions {
  database: WorkerDatabase
  /** What holds for a company that has not set it. */
  defaults: { batching: BatchingSettings }
  log: Logger
}

/** What the inbox needs to know of companies' settings, read from the database at most once a second for each. */
export class CompanySettingsReader {
  readonly #options: CompanySettingsOptions
  readonly #known = new LRUCache<string, Known>({ max: MAX_COMPANIES })
  readonly #fresh = new LRUCache<string, Promise<EffectiveSettings>>({ max: MAX_COMPANIES, ttl: FRESH_MS })

  constructor(options: CompanySettingsOptions) {
    this.#options = options
  }

  /** Rejects when the database does. */
  of(companyId: string): Promise<EffectiveSettings> {
    const fresh = this.#fresh.get(companyId)
    if (fresh !== undefined) return fresh
    const reading = this.#read(companyId)
    this.#fresh.set(companyId, reading)
    // Whoever waits for it sees the failure; the next one reads again.
    reading.catch(() => this.#fresh.delete(companyId))
    return reading
  }

  /** The settings as they were last known, for what cannot wait for the database. */
  lastKnown(companyId: string): EffectiveSettings {
    return this.#known.get(companyId)?.settings ?? this.#effective({})
  }

  /** Makes a change that was made in this process count at once. */
  forget(companyId: string): void {
    this.#fresh.delete(companyId)
  }

  async #read(companyId: string): Promise<EffectiveSettings> {
    const stored = await readCompanySettings(companyId, this.#options.database.worker)
    const json = JSON.stringify(stored)
    const known = this.#known.get(companyId)
    if (known?.json === json) return known.settings
    const parsed = companySettings.safeParse(stored)
    if (!parsed.success) {
      // Only another version of the program can have stored them: nobody is answered wrongly meanwhile.
      this.#options.log.error({ companyId }, "The company's settings cannot be read; nobody answers for it.")
    }
    const settings = this.#effective(parsed.data ?? {})
    this.#known.set(companyId, { json, settings })
    return settings
  }

  #effective(settings: ReturnType<typeof companySettings.parse>): EffectiveSettings {
    return effectiveSettings(settings, this.#options.defaults)
  }
}

/** What a company has set, with what holds in place of what it has left out. */
export function effectiveSettings(
  {
    batching,
    optOut = {},
    responders = NOBODY,
    fallback,
    business = {},
    handoff,
    openingHours,
    quietHours,
    ignore = [],
  }: CompanySettings,
  defaults: { batching: BatchingSettings },
): EffectiveSettings {
  const quietMs = batching?.quietMs ?? defaults.batching.quietMs
  const maxMs = batching?.maxMs ?? defaults.batching.maxMs
  const maxMessages = batching?.maxMessages ?? defaults.batching.maxMessages
  return {
    batching: { quietMs, maxMs, maxMessages },
    ...{ optOut, responders, fallback, business, openingHours, quietHours },
    isOpen: (at) => openingHours && isOpen(openingHours, at),
    handoff: { ...handoff, ...handoffTimes(handoff) },
    ignore: new Set(ignore),
  }
}
