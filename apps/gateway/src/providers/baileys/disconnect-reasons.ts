import type { DisconnectReason } from '#src/model/disconnect-reason.ts'

/**
 * What Baileys' status codes mean: its own `DisconnectReason`, the codes of WhatsApp's `stream:error` and `failure`
 * stanzas, and HTTP answers to the WebSocket's handshake. Whatever is not listed is trouble that may pass.
 */
const REASON_OF_STATUS: Readonly<Record<number, DisconnectReason>> = {
  401: 'logged_out',
  402: 'temporarily_banned',
  403: 'forbidden',
  405: 'client_outdated',
  408: 'timed_out',
  411: 'multi_device_mismatch',
  428: 'connection_closed',
  440: 'replaced',
  500: 'bad_session',
  503: 'service_unavailable',
  515: 'restart_required',
}

export function disconnectReasonOf(error: unknown): DisconnectReason {
  if (error === undefined || error === null) return 'closed_by_us'
  return REASON_OF_STATUS[statusCodeOf(error) ?? 0] ?? 'connection_closed'
}

/** Baileys ends connections with Boom errors, which carry an HTTP-like status. */
function statusCodeOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('output' in error)) return undefined
  const { output } = error
  if (typeof output !== 'object' || output === null || !('statusCode' in output)) return undefined
  return typeof output.statusCode === 'number' ? output.statusCode : undefined
}
