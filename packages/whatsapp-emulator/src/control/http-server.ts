import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { z } from 'zod'
import type { ChangeFeed } from '../core/change-feed.ts'
import { streamChanges } from './change-stream.ts'
import type { EmulatorControl } from './control.ts'
import { ControlError } from './control-error.ts'
import { CONTROL_CALLS } from './control-schema.ts'
import { HttpError } from './http-error.ts'
import { checkCaller } from './loopback.ts'
import { readJson } from './read-json.ts'
import { servePage } from './static-page.ts'

const CONTROL_PATH = '/control/'
/**
 * Node's own five seconds are too short for a caller that is busy meanwhile, as a benchmark is that makes thousands of
 * keys: it would write into a connection that has just been closed.
 */
const KEEP_ALIVE_TIMEOUT_MS = 10 * 60_000

/** The control over HTTP and the page of simulated phones. Answers nobody but this machine. */
export function makeHttpServer(control: EmulatorControl, changes: ChangeFeed): Server {
  return createServer({ keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS }, (request, response) => {
    answer(control, changes, request, response).catch((error: unknown) => refuse(response, error))
  })
}

async function answer(
  control: EmulatorControl,
  changes: ChangeFeed,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  checkCaller(request)
  const path = new URL(request.url ?? '/', 'http://loopback').pathname
  if (!path.startsWith(CONTROL_PATH)) {
    allow(request, 'GET', 'HEAD')
    await servePage(path, response)
    return
  }
  const method = path.slice(CONTROL_PATH.length)
  if (method === 'changes') {
    allow(request, 'GET')
    streamChanges(changes, response)
    return
  }
  if (!isControlMethod(method)) throw new HttpError(404, `The emulator has no method "${method}".`)
  allow(request, 'POST')
  const result = await CONTROL_CALLS[method](control, await readJson(request))
  if (result === undefined) response.writeHead(204).end()
  else sendJson(response, 200, result)
}

function isControlMethod(method: string): method is keyof EmulatorControl {
  return Object.hasOwn(CONTROL_CALLS, method)
}

function allow(request: IncomingMessage, ...methods: string[]): void {
  if (!methods.includes(request.method ?? '')) throw new HttpError(405, `Use ${methods.join(' or ')} here.`)
}

function refuse(response: ServerResponse, error: unknown): void {
  // Nothing can be said any more to somebody who has the beginning of an answer already.
  if (response.headersSent) response.destroy()
  else if (error instanceof HttpError) sendJson(response, error.status, { error: error.message })
  else if (error instanceof ControlError) sendJson(response, 400, { error: error.message })
  else if (error instanceof z.ZodError) sendJson(response, 400, { error: sentenceOf(error) })
  else sendJson(response, 500, { error: error instanceof Error ? error.message : String(error) })
}

function sentenceOf(error: z.ZodError): string {
  const issues = error.issues.map(({ path, message }) => (path.length ? `${path.join('.')}: ${message}` : message))
  return `The argument is not valid. ${issues.join('; ')}.`
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(JSON.stringify(value))
}
