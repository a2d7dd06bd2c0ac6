import type { IncomingMessage } from 'node:http'
import { HttpError } from './http-error.ts'

const LOOPBACK_NAMES = new Set(['127.0.0.1', 'localhost', '[::1]'])

/**
 * Refuses a caller who did not mean this machine: a host name that was made to point here (DNS rebinding), or a page of
 * another site in this machine's browser.
 */
export function checkCaller(request: IncomingMessage): void {
  if (!isLoopbackHost(request.headers.host))
    throw new HttpError(403, 'The emulator answers under a loopback name only, such as 127.0.0.1 or localhost.')
  const { origin } = request.headers
  if (origin !== undefined && !isLoopbackOrigin(origin))
    throw new HttpError(403, 'The emulator takes no requests from pages of other sites.')
}

export function isLoopbackHost(host: string | undefined): boolean {
  return host !== undefined && isLoopbackOrigin(`http://${host}`)
}

function isLoopbackOrigin(origin: string): boolean {
  return URL.canParse(origin) && LOOPBACK_NAMES.has(new URL(origin).hostname)
}
