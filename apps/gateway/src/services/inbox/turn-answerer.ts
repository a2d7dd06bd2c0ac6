import type { ResponderSettings } from '@frontdesk/api-contract'
import type { Logger } from 'pino'
import type { Turn } from '#src/model/turn.ts'
import { optOutWish } from '#src/services/outbox/opt-out-wish.ts'
import { createResponder } from '#src/services/responders/create-responder.ts'
import type { Answer, Responder } from '#src/services/responders/responder.ts'
import type { OutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'
import type { CompanySettingsReader } from './company-settings.ts'

export interface TurnAnswererOptions {
  settings: CompanySettingsReader
  urlGuard: OutgoingUrlGuard
  log: Logger
}

/** An answer and who gave it; null if nobody was asked. */
export type NamedAnswer = Answer & { responder: Responder['name'] | null }

/** Has turns answered by the responder that the company has chosen. */
export class TurnAnswerer {
  readonly #options: TurnAnswererOptions
  /** Responders prepare themselves once for their settings, and live as long as these are known. */
  readonly #responders = new WeakMap<ResponderSettings, Responder>()

  constructor(options: TurnAnswererOptions) {
    this.#options = options
  }

  /** Rejects when the signal is aborted or the settings cannot be read. A responder's failures are part of the answer. */
  async answer(turn: Turn, signal: AbortSignal): Promise<NamedAnswer> {
    const settings = await this.#options.settings.of(turn.company.id)
    const responder = this.#responderOf(settings.responder)
    try {
      return { ...(await responder.answer(turn, signal)), responder: responder.name }
    } catch (err) {
      signal.throwIfAborted()
      this.#options.log.error({ err, turnId: turn.id, responder: responder.name }, 'A responder failed unexpectedly.')
      return { messages: [], responder: responder.name, errorCode: 'internal' }
    }
  }

  /** Whether the customer says to want no messages, or some again; undefined without a word of it. Rejects as `answer` does. */
  async optOutWish({ company, messages }: Turn): Promise<boolean | undefined> {
    const { optOut } = await this.#options.settings.of(company.id)
    return optOutWish(
      optOut,
      messages.flatMap(({ content }) => (content.kind === 'text' ? [content.text] : [])),
    )
  }

  #responderOf(settings: ResponderSettings): Responder {
    let responder = this.#responders.get(settings)
    if (responder === undefined) {
      const { urlGuard, log } = this.#options
      responder = createResponder(settings, {
        urlGuard,
        onFailure: ({ id, company }, { errorCode, detail }) =>
          log.warn({ companyId: company.id, turnId: id, code: errorCode, detail }, 'The responder did not answer.'),
      })
      this.#responders.set(settings, responder)
    }
    return responder
  }
}
