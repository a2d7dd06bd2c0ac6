import { setTimeout as delay } from 'node:timers/promises'
import type { HttpResponderSettings } from '@frontdesk/api-contract'
import { FrontdeskError } from '#src/model/errors.ts'
import type { Turn } from '#src/model/turn.ts'
import { backoffMs } from '#src/services/lanes/backoff.ts'
import type { OutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'
import { isSigningSecret } from '#src/services/webhooks/webhook-secrets.ts'
import type { CircuitBreaker } from './circuit-breaker.ts'
import { postTurn, type ResponderFailure } from './post-turn.ts'
import type { Reply, ReplyTools, Responder } from './responder.ts'

const TIMEOUT_MS = 10_000
const RETRIES = 2
/** The customer waits: a system that asks for more time is not asked again for this turn. */
const MAX_WAIT_MS = 10_000

export interface HttpResponderOptions {
  urlGuard: OutgoingUrlGuard
  /** Knows the systems of all companies. */
  breaker: CircuitBreaker
  /** Told of each attempt that failed. */
  onFailure: (turn: Turn, failure: ResponderFailure) => void
  /** How long to wait after the first failed attempt; later ones wait longer. */
  firstRetryMs?: number
}

/** Asks the company's own system, which listens at an http or https URL. */
export function createHttpResponder(settings: HttpResponderSettings, options: HttpResponderOptions): Responder {
  const { url, secret, timeoutMs = TIMEOUT_MS, retries = RETRIES } = settings
  const { urlGuard, breaker, onFailure, firstRetryMs = 500 } = options

  async function attempt(turn: Turn, { signal, callsTools }: ReplyTools, key?: string) {
    try {
      const { agent } = urlGuard
      const signing = key !== undefined && { secret: key }
      return await postTurn(turn, {
        ...{ url: urlGuard.check(url), agent, timeoutMs, signal, isTrial: !callsTools },
        ...signing,
      })
    } catch (error) {
      if (error instanceof FrontdeskError) return { errorCode: error.code, detail: error.message, isFinal: true }
      throw error
    }
  }

  async function ask(turn: Turn, tools: ReplyTools, key?: string): Promise<Reply> {
    const system = `${turn.company.id} ${url}`
    if (!breaker.admits(system, performance.now())) return failure('responder_paused')
    for (let attempts = 1; ; attempts += 1) {
      const result: Reply | ResponderFailure = await attempt(turn, tools, key)
      if ('outcome' in result) {
        breaker.succeeded(system)
        return { ...result, trace: { attempts } }
      }
      onFailure(turn, result)
      const { errorCode, detail, isFinal, retryAfterMs = 0 } = result
      // What another attempt would not change is no sign that the system is down.
      const isPaused = !isFinal && breaker.failed(system, performance.now())
      if (isFinal || isPaused || attempts > retries || retryAfterMs > MAX_WAIT_MS) {
        return failure(errorCode, { attempts, detail })
      }
      const waitMs = Math.max(retryAfterMs, backoffMs(attempts, { firstMs: firstRetryMs, maxMs: MAX_WAIT_MS }))
      await delay(waitMs, undefined, { signal: tools.signal })
    }
  }

  return {
    name: 'http',
    async answer(turn, tools) {
      if (secret === undefined) return await ask(turn, tools)
      const key = await tools.secret(secret)
      if (key === undefined || !isSigningSecret(key)) {
        const detail = `"${secret}" ${key === undefined ? 'is not there' : 'is not of the form whsec_... in base64'}.`
        return failure('secret_missing', { detail })
      }
      return await ask(turn, tools, key)
    },
  }
}

const failure = (errorCode: ResponderFailure['errorCode'], trace: Reply['trace'] = {}): Reply => ({
  outcome: 'failed',
  messages: [],
  errorCode,
  trace,
})
