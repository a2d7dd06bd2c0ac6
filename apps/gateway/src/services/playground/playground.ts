import type { PlaygroundAnswer, PlaygroundRequest } from '@frontdesk/api-contract'
import { FrontdeskError } from '#src/model/errors.ts'
import { newId } from '#src/model/ids.ts'
import type { PastMessage, Turn } from '#src/model/turn.ts'
import type { BatchingSettings } from '#src/services/inbox/batch.ts'
import { effectiveSettings } from '#src/services/inbox/company-settings.ts'
import { TurnAnswerer, type TurnAnswererOptions } from '#src/services/inbox/turn-answerer.ts'
import { addUsage, readUsageToday } from '#src/storage/answer-usage.ts'
import { type CompanyRow, findCompany } from '#src/storage/companies.ts'
import type { Database } from '#src/storage/database.ts'

/** At once, of a company. */
const MOST_OF_COMPANY = 2
const TIMEOUT_MS = 60_000
const BETWEEN_MESSAGES_MS = 60_000

export interface PlaygroundOptions {
  database: Database
  answerer: Omit<TurnAnswererOptions, 'settings' | 'history'>
  /** The deployment's, for companies that have set none. */
  batching: BatchingSettings
}

/** Tries conversations with a draft of the settings: as they would be answered, but nobody gets the answer. */
export class Playground {
  readonly #options: PlaygroundOptions
  /** How many each company tries just now. */
  readonly #underWay = new Map<string, number>()

  constructor(options: PlaygroundOptions) {
    this.#options = options
  }

  /**
   * Stores nothing but what models cost, which counts towards the limits of the day.
   * @throws FrontdeskError `playground_busy`, `playground_timed_out`
   */
  async try(companyId: string, request: PlaygroundRequest, signal: AbortSignal): Promise<PlaygroundAnswer> {
    const before = this.#underWay.get(companyId) ?? 0
    if (before >= MOST_OF_COMPANY) throw new FrontdeskError('playground_busy', `It is ${MOST_OF_COMPANY}.`)
    this.#underWay.set(companyId, before + 1)
    const timeout = AbortSignal.timeout(TIMEOUT_MS)
    try {
      return await this.#answer(companyId, request, AbortSignal.any([signal, timeout]))
    } catch (error) {
      if (timeout.aborted) throw new FrontdeskError('playground_timed_out', undefined, { cause: error })
      if (signal.aborted) throw new FrontdeskError('unavailable', 'Nobody waits for it any more.', { cause: error })
      throw error
    } finally {
      const left = (this.#underWay.get(companyId) ?? 0) - 1
      if (left > 0) this.#underWay.set(companyId, left)
      else this.#underWay.delete(companyId)
    }
  }

  async #answer(companyId: string, request: PlaygroundRequest, signal: AbortSignal): Promise<PlaygroundAnswer> {
    const { database, answerer: tools, batching } = this.#options
    const at = request.at === undefined ? new Date() : new Date(request.at)
    const company = await database.asCompany(companyId, (db) => findCompany(companyId, db))
    if (company === undefined) throw new FrontdeskError('not_found')
    const settings = effectiveSettings({ ...company.settings, ...request.settings }, { batching })
    const past = pastOf(request, at)
    const history: TurnAnswererOptions['history'] = async (_turn, limit) => past.slice(Math.max(0, past.length - limit))
    const answerer = new TurnAnswerer({ ...tools, history, settings: { of: async () => settings } })
    const turn = turnOf(company, request, { at, today: await readUsageToday(companyId, database.worker) })
    const isOptedOut = (await answerer.optOutWish(turn)) ?? false
    const { messages, responder, errorCode, holdUntil, labels, usage, trace } = await answerer.answerWith(
      { ...turn, isOptedOut },
      settings,
      { at, signal, callsTools: request.callTools ?? false },
    )
    if (usage.inputTokens + usage.outputTokens + usage.costMicros > 0) {
      await addUsage(companyId, database.worker, usage)
    }
    return {
      ...{ messages, responder, labels, trace },
      code: errorCode ?? null,
      heldUntil: holdUntil?.toISOString() ?? null,
    }
  }
}

/** As if a message had come each minute, so that it looks like a conversation of people. */
const pastOf = ({ history = [] }: PlaygroundRequest, at: Date): PastMessage[] =>
  history.map(({ from, text }, place) => ({
    from: from === 'customer' ? 'customer' : 'bot',
    text,
    at: new Date(at.getTime() - (history.length - place) * BETWEEN_MESSAGES_MS),
  }))

const turnOf = (
  { id, name }: CompanyRow,
  { history = [], messages, contact }: PlaygroundRequest,
  { at, today }: Pick<Turn, 'today'> & { at: Date },
): Turn => ({
  id: newId(),
  company: { id, name },
  session: { id: newId(), name: 'playground', phone: null },
  contact: { id: newId(), name: contact?.name ?? null, phone: null, lid: null },
  addresses: [],
  isOptedOut: false,
  isFirst: history.every(({ from }) => from === 'customer'),
  conversation: { id: newId(), state: 'bot', responders: null, labels: [], turns: 0, costMicros: 0 },
  today,
  heldUntil: null,
  messages: messages.map((text) => ({ id: newId(), content: { kind: 'text', text }, sentAt: at })),
  createdAt: at,
})
