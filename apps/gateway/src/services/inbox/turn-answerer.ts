import type { AnswerMessage, ResponderSettings, TurnTrace } from '@frontdesk/api-contract'
import type { Logger } from 'pino'
import type { ErrorCode } from '#src/model/errors.ts'
import { type PastMessage, type Turn, textsOf } from '#src/model/turn.ts'
import { type Handoff, judgeTurn } from '#src/services/conversations/judge-turn.ts'
import { optOutWish } from '#src/services/outbox/opt-out-wish.ts'
import { CircuitBreaker } from '#src/services/responders/circuit-breaker.ts'
import { createResponder } from '#src/services/responders/create-responder.ts'
import type { Responder } from '#src/services/responders/responder.ts'
import { askResponders, type ChainReply } from '#src/services/responders/responder-chain.ts'
import type { OutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'
import { boundTrace } from '#src/services/turns/bound-trace.ts'
import type { CompanySettingsReader, EffectiveSettings } from './company-settings.ts'

export interface TurnAnswererOptions {
  settings: Pick<CompanySettingsReader, 'of'>
  urlGuard: OutgoingUrlGuard
  /** Origins of MCP servers that the deployment allows. */
  mcpServers: readonly string[]
  /** What was written in the chat before the turn, oldest first: at most so many messages. */
  history: (turn: Turn, limit: number) => Promise<PastMessage[]>
  secret: (companyId: string, name: string) => Promise<string | undefined>
  log: Logger
}

/** What is to be done with a turn. */
export interface Answer {
  messages: AnswerMessage[]
  /** Who answered, or left it; null if nobody was asked. */
  responder: Responder['name'] | null
  /** Why there is no answer, or only the fallback's. */
  errorCode?: ErrorCode
  /** With the moment when it goes back to the bot, if nobody takes it over. */
  handoff?: Handoff & { returnsAt: Date }
  labels: string[]
  /** The turn is not over: it is to be answered then. The messages are sent now. */
  holdUntil?: Date
  usage: ChainReply['usage']
  trace: TurnTrace
}

const NO_USAGE = { inputTokens: 0, outputTokens: 0, costMicros: 0 }

/** Has turns answered: first it is judged whether anybody is to be asked, then the responders are. */
export class TurnAnswerer {
  readonly #options: TurnAnswererOptions
  /** Responders prepare themselves once for their settings, and live as long as these are known. */
  readonly #chains = new WeakMap<readonly ResponderSettings[], Responder[]>()
  readonly #breaker = new CircuitBreaker()

  constructor(options: TurnAnswererOptions) {
    this.#options = options
  }

  /** Rejects when the signal is aborted or the settings cannot be read. A responder's failures are part of the answer. */
  async answer(turn: Turn, signal: AbortSignal): Promise<Answer> {
    return await this.answerWith(turn, await this.#options.settings.of(turn.company.id), { at: new Date(), signal })
  }

  /** The same with other settings, or as of another moment. */
  async answerWith(
    turn: Turn,
    settings: EffectiveSettings,
    { at, signal, callsTools = true }: { at: Date; signal: AbortSignal; callsTools?: boolean },
  ): Promise<Answer> {
    const beganAt = performance.now()
    const { history } = this.#options
    const [first] = turn.messages
    const waitedMs = first === undefined ? 0 : Math.max(0, turn.createdAt.getTime() - first.sentAt.getTime())
    const traceOf = (trace: Partial<TurnTrace>): TurnTrace => ({
      ...{ guard: null, steps: [], usedFallback: false, handoff: null, waitedMs, ...trace },
      answeredMs: Math.round(performance.now() - beganAt),
    })
    const used = new Set<string>()
    const secret = async (name: string) => {
      const value = await this.#options.secret(turn.company.id, name)
      if (value !== undefined) used.add(value)
      return value
    }

    const returnsAt = new Date(at.getTime() + settings.handoff.waitingMs)
    const verdict = await judgeTurn(turn, settings, { at, history: (limit) => history(turn, limit) })
    if (verdict.kind !== 'ask') {
      const { code, messages, handoff, holdUntil } = verdict
      return {
        ...{ messages, responder: null, errorCode: code, labels: [], usage: NO_USAGE },
        ...(handoff && { handoff: { ...handoff, returnsAt } }),
        ...(holdUntil && { holdUntil }),
        trace: traceOf({ guard: code, handoff: handoff?.reason ?? null }),
      }
    }
    const { messages, responder, errorCode, handoff, labels, usage, steps, usedFallback } = await askResponders(
      this.#chainOf(turn.conversation.responders ?? settings.responders),
      {
        turn,
        fallback: settings.fallback,
        tools: {
          ...{ at, signal, callsTools, business: settings.business },
          ...{ openingHours: settings.openingHours, isOpen: settings.isOpen(at) },
          history: (limit) => history(turn, limit),
          secret,
        },
        onError: (err, name) =>
          this.#options.log.error({ err, turnId: turn.id, responder: name }, 'A responder failed unexpectedly.'),
      },
    )
    return {
      ...{ messages, responder, labels, usage },
      ...(errorCode && { errorCode }),
      ...(handoff !== undefined && {
        handoff: { reason: handoffReason(responder, errorCode), detail: handoff, returnsAt },
      }),
      trace: boundTrace(traceOf({ steps, usedFallback, handoff: handoff ?? null }), used),
    }
  }

  /** Whether the customer says to want no messages, or some again; undefined without a word of it. Rejects as `answer` does. */
  async optOutWish(turn: Turn): Promise<boolean | undefined> {
    const { optOut } = await this.#options.settings.of(turn.company.id)
    return optOutWish(optOut, textsOf(turn))
  }

  #chainOf(settings: readonly ResponderSettings[]): Responder[] {
    let chain = this.#chains.get(settings)
    if (chain === undefined) {
      const { urlGuard, mcpServers, log } = this.#options
      const onFailure = ({ id, company }: Turn, { errorCode, detail }: { errorCode: ErrorCode; detail: string }) =>
        log.warn({ companyId: company.id, turnId: id, code: errorCode, detail }, 'A responder did not answer.')
      const breaker = this.#breaker
      chain = settings.map((each) => createResponder(each, { urlGuard, mcpServers, breaker, onFailure }))
      this.#chains.set(settings, chain)
    }
    return chain
  }
}

function handoffReason(responder: ChainReply['responder'], errorCode: ErrorCode | undefined): Handoff['reason'] {
  if (errorCode === 'ai_limit_reached') return 'limit_reached'
  return responder === 'rules' ? 'rule' : 'responder'
}
