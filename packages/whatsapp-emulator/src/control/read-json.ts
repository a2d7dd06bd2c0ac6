import type { IncomingMessage } from 'node:http'
import { HttpError } from './http-error.ts'

/** Enough to provision 10,000 companions at once. */
const MAX_BODY_BYTES = 32 * 1024 * 1024

/** The body of a request as JSON; `undefined` when it is empty. Throws `HttpError`. */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) continue
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) throw new HttpError(413, `The body is over ${MAX_BODY_BYTES} bytes.`)
    chunks.push(chunk)
  }
  if (bytes === 0) return undefined
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'))
    return value
  } catch {
    throw new HttpError(400, 'The body is not valid JSON.')
  }
}
