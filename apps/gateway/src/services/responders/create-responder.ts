import type { ResponderSettings } from '@frontdesk/api-contract'
import { type AiResponderOptions, createAiResponder } from './ai/ai-responder.ts'
import { createHttpResponder, type HttpResponderOptions } from './http-responder.ts'
import { noneResponder } from './none-responder.ts'
import type { Responder } from './responder.ts'
import { createRulesResponder } from './rules-responder.ts'

/** The responder that a company's settings describe. */
export function createResponder(
  settings: ResponderSettings,
  options: HttpResponderOptions & AiResponderOptions,
): Responder {
  switch (settings.kind) {
    case 'none':
      return noneResponder
    case 'rules':
      return createRulesResponder(settings)
    case 'http':
      return createHttpResponder(settings, options)
    case 'ai':
      return createAiResponder(settings, options)
  }
}
