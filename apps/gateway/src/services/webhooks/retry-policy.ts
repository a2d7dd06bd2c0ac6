import { backoffMs } from '#src/services/lanes/backoff.ts'
import type { PostResult } from './post-delivery.ts'

/** 17 attempts or so in a day, half of them in the first half hour. */
const RETRY = { firstMs: 5_000, maxMs: 3 * 60 * 60 * 1000 }
const GONE = 410

interface Attempted {
  /** Attempts that were made before this one. */
  attempts: number
  giveUpAt: Date
}

/** What follows from an attempt. */
export interface NextStep {
  isDelivered: boolean
  /** The endpoint wants nothing any more. */
  isGone: boolean
  /** Undefined when it is over, one way or the other. */
  nextAttemptAt: Date | undefined
  /** Until then the endpoint wants no attempt, also if it works again earlier; undefined if it has asked for nothing. */
  notBefore: Date | undefined
}

/**
 * Any 2xx is a delivery. Whatever else happened is tried again, later each time, and not before the endpoint asks for it;
 * the last time at the moment of giving up. 410 ends it at once.
 */
export function retryPolicy(
  { attempts, giveUpAt }: Attempted,
  { status, retryAfterMs }: PostResult,
  now: Date,
): NextStep {
  const isDelivered = status !== null && status >= 200 && status <= 299
  const isGone = status === GONE
  if (isDelivered || isGone || now >= giveUpAt)
    return { isDelivered, isGone, nextAttemptAt: undefined, notBefore: undefined }
  const after = (delayMs: number) => new Date(Math.min(now.getTime() + delayMs, giveUpAt.getTime()))
  return {
    isDelivered,
    isGone,
    nextAttemptAt: after(Math.max(backoffMs(attempts + 1, RETRY), retryAfterMs ?? 0)),
    notBefore: retryAfterMs === undefined ? undefined : after(retryAfterMs),
  }
}
