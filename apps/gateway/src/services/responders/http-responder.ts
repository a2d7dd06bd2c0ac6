import { setTimeout as delay } from 'node:timers/promises'
import type { HttpResponderSettings } from '@frontdesk/api-contract'
import { FrontdeskError } from '#src/model/errors.ts'
import type { Turn } from '#src/model/turn.ts'
import { backoffMs } from '#src/services/lanes/backoff.ts'
import type { OutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'
import { postTurn, type ResponderFailure } from './post-turn.ts'
import type { Reply, Responder } from './responder.ts'

const TIMEOUT_MS = 10_000
const RETRIES = 2

export interface HttpResponderOptions {
  urlGuard: OutgoingUrlGuard
  /** Told of each attempt that failed. */
  onFailure: (turn: Turn, failure: ResponderFailure) => void
  /** How long to wait after the first failed attempt; later ones wait longer. */
  firstRetryMs?: number
}

/** Asks the company's own system, which listens at an http or https URL. */
export function createHttpResponder(settings: HttpResponderSettings, options: HttpResponderOptions): Responder {
  const { url, timeoutMs = TIMEOUT_MS, retries = RETRIES } = settings
  const { urlGuard, onFailure, firstRetryMs = 500 } = options

  async function attempt(turn: Turn, signal: AbortSignal): Promise<Reply | ResponderFailure> {
    try {
      const { agent } = urlGuard
      return await postTurn(turn, { url: urlGuard.check(url), agent, timeoutMs, signal })
    } catch (error) {
      if (error instanceof FrontdeskError) return { errorCode: error.code, detail: error.message, isFinal: true }
      throw error
    }
  }

  return {
    name: 'http',
    async answer(turn, { signal }) {
      for (let attempts = 1; ; attempts += 1) {
        const result = await attempt(turn, signal)
        if ('outcome' in result) return { ...result, trace: { attempts } }
        onFailure(turn, result)
        if (result.isFinal || attempts > retries) {
          const { errorCode, detail } = result
          return { outcome: 'failed', messages: [], errorCode, trace: { attempts, detail } }
        }
        await delay(backoffMs(attempts, { firstMs: firstRetryMs, maxMs: 10_000 }), undefined, { signal })
      }
    },
  }
}
