import type { DisconnectReason } from '#src/model/disconnect-reason.ts'
import { withoutNumbers } from './baileys-logger.ts'

/** How a connection ended. `detail` is safe to show to an operator. */
export interface Ending {
  reason: DisconnectReason
  detail: string
  /** When WhatsApp says that it may be tried again. */
  retryAt?: Date
}

/**
 * What Baileys' status codes mean: its own `DisconnectReason`, and the codes of WhatsApp's `stream:error` and `failure`
 * stanzas. Whatever is not listed is trouble that may pass.
 */
const REASON_OF_STATUS: Readonly<Record<number, DisconnectReason>> = {
  401: 'logged_out',
  402: 'temporarily_banned',
  403: 'forbidden',
  405: 'client_outdated',
  406: 'forbidden',
  408: 'timed_out',
  411: 'multi_device_mismatch',
  428: 'connection_closed',
  440: 'replaced',
  500: 'bad_session',
  503: 'service_unavailable',
  515: 'restart_required',
}

/** What some of them mean to a device that is not linked: there is no account yet that could be banned. */
const REASON_WHILE_LINKING: Readonly<Record<number, DisconnectReason>> = {
  400: 'linking_refused',
  401: 'linking_refused',
  403: 'linking_blocked',
  406: 'linking_blocked',
  429: 'linking_throttled',
}

/** Longer than any ban that WhatsApp gives a date for, seconds: a year. */
const MAX_BAN_S = 366 * 24 * 60 * 60

export function endingOf(error: unknown, { isLinked }: { isLinked: boolean }): Ending {
  if (error === undefined || error === null) return { reason: 'closed_by_us', detail: 'The connection ended.' }
  const status = statusCodeOf(error) ?? 0
  const reason = (isLinked ? undefined : REASON_WHILE_LINKING[status]) ?? REASON_OF_STATUS[status]
  const detail = withoutNumbers(error instanceof Error ? error.message : 'The connection ended.')
  const retryAt = reason === 'temporarily_banned' ? banEndOf(error) : undefined
  return { reason: reason ?? 'connection_closed', detail, ...(retryAt && { retryAt }) }
}

/**
 * What it means when WhatsApp's server answers the WebSocket's handshake with plain HTTP. That says nothing of the
 * account or the client: it is never `forbidden` or `client_outdated`.
 */
export function endingOfHttp(status: number): Ending {
  const isBusy = status === 429 || status >= 500
  return {
    reason: isBusy ? 'service_unavailable' : 'connection_closed',
    detail: `The server refused the connection with HTTP ${status}.`,
  }
}

/** Whether an unlinked device was told that it has waited long enough: no more QR codes, or the end of the stream. */
export function isOfferOver(error: unknown): boolean {
  return error instanceof Error && /^(QR refs attempts ended|Connection Terminated by Server)$/.test(error.message)
}

/** The code with which WhatsApp has refused a query, as `429`. */
export function whatsappCodeOf(error: unknown): string | undefined {
  const code = fieldOf(error, 'data')
  return typeof code === 'number' ? String(code) : undefined
}

/** Baileys ends connections with Boom errors, which carry an HTTP-like status. */
function statusCodeOf(error: unknown): number | undefined {
  const status = fieldOf(fieldOf(error, 'output'), 'statusCode')
  return typeof status === 'number' ? status : undefined
}

/** `<failure reason="402" expire="3600">`: the ban ends in so many seconds. Baileys hands its attributes on. */
function banEndOf(error: unknown): Date | undefined {
  const seconds = Number(fieldOf(fieldOf(error, 'data'), 'expire'))
  return seconds > 0 && seconds <= MAX_BAN_S ? new Date(Date.now() + seconds * 1000) : undefined
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}
