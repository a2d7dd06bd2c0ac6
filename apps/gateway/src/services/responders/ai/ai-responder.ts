import type { AiResponderSettings } from '@frontdesk/api-contract'
import type { OutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'
import type { Responder } from '../responder.ts'

export interface AiResponderOptions {
  urlGuard: OutgoingUrlGuard
}

/** Asks a language model. */
export function createAiResponder(_settings: AiResponderSettings, _options: AiResponderOptions): Responder {
  return {
    name: 'ai',
    async answer(_turn, { signal }) {
      signal.throwIfAborted()
      return { outcome: 'failed', messages: [], errorCode: 'internal' }
    },
  }
}
