import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { PROBLEM_MEDIA_TYPE, type Problem } from '@frontdesk/api-contract'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isDiskFull } from '#src/model/disk-full.ts'
import { ERRORS, type ErrorCode, FrontdeskError } from '#src/model/errors.ts'
import { newId } from '#src/model/ids.ts'
import { RequestError } from './http-error.ts'

/** What the framework refuses by itself, as errors of the catalogue. */
const FRAMEWORK_ERRORS: Partial<Record<string, ErrorCode>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: 'invalid_json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'invalid_json',
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'invalid_http',
  FST_ERR_NOT_FOUND: 'not_found',
  FST_ERR_BAD_URL: 'not_found',
  FST_ERR_MAX_PARAM_LENGTH: 'not_found',
  FST_ERR_HANDLER_TIMEOUT: 'unavailable',
}

/**
 * The database is away, overfull with connections or starting: codes of sockets and of Postgres (classes 08 and 53,
 * 57P01 to 57P03), the texts of `pg`, which has no codes for the rest, and a Unix socket that is gone, as no other missing
 * file is. The same request succeeds when it is back.
 */
const AWAY_CODE = /^(ECONN(REFUSED|RESET|ABORTED)|EPIPE|ETIMEDOUT|ENOTFOUND|EHOSTUNREACH|08\w{3}|53\w{3}|57P0[123])$/
const AWAY_TEXT = /^(connect ENOENT|Connection terminated|timeout exceeded when trying to connect)/

/** What Node refuses before there is a request. */
const CLIENT_ERRORS: Partial<Record<string, ErrorCode>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timed_out',
  HPE_HEADER_OVERFLOW: 'headers_too_large',
}

/** The catalogue's error behind whatever was thrown. What nobody expected is `internal`, and its text stays inside. */
function toFrontdeskError(error: FastifyError): FrontdeskError {
  if (error instanceof FrontdeskError) return error
  const code = FRAMEWORK_ERRORS[error.code]
  if (code !== undefined) return new FrontdeskError(code, undefined, { cause: error })
  if (isDiskFull(error)) return new FrontdeskError('database_full', undefined, { cause: error })
  if (AWAY_CODE.test(error.code) || AWAY_TEXT.test(error.message)) {
    return new FrontdeskError('unavailable', undefined, { cause: error })
  }
  const isOurs = error.statusCode === undefined || error.statusCode >= 500
  return new FrontdeskError(isOurs ? 'internal' : 'invalid_http', undefined, { cause: error })
}

function toProblem(error: FrontdeskError, requestId: string): Problem {
  const { status, stage, title } = ERRORS[error.code]
  return {
    type: `urn:frontdesk:error:${error.code}`,
    title,
    status,
    ...(error.detail === undefined ? {} : { detail: error.detail }),
    code: error.code,
    stage,
    instance: `urn:uuid:${requestId}`,
    ...(error instanceof RequestError ? { errors: error.errors } : {}),
    ...(error.retryAt === undefined ? {} : { retryAt: error.retryAt.toISOString() }),
  }
}

export function sendProblem(error: FrontdeskError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status } = ERRORS[error.code]
  if (status === 401) {
    const reason = error.code === 'api_key_missing' ? '' : ', error="invalid_token"'
    reply.header('www-authenticate', `Bearer realm="frontdesk"${reason}`)
  }
  if (error.retryAt !== undefined) reply.header('retry-after', secondsUntil(error.retryAt))
  else if (status === 503) reply.header('retry-after', '1')
  return reply
    .code(status)
    .type(PROBLEM_MEDIA_TYPE)
    .serializer((payload: unknown) => JSON.stringify(payload))
    .send(toProblem(error, request.id))
}

const secondsUntil = (moment: Date): string => String(Math.max(1, Math.ceil((moment.getTime() - Date.now()) / 1000)))

/** Every error of every kind is answered as RFC 9457 `application/problem+json`. */
export function answerProblems(server: FastifyInstance): void {
  const patterns: { method: string; pattern: RegExp }[] = []
  server.addHook('onRoute', ({ method, url }) => {
    const pattern = new RegExp(`^${url.replaceAll('.', '\\.').replace(/\*$/, '.*').replace(/:\w+/g, '[^/]+')}$`)
    for (const each of [method].flat()) patterns.push({ method: each, pattern })
  })

  server.setErrorHandler<FastifyError>((thrown, request, reply) => {
    const error = toFrontdeskError(thrown)
    if (error.code === 'internal') request.log.error({ err: error.cause ?? error }, 'request failed')
    else if (ERRORS[error.code].status >= 500)
      request.log.warn({ code: error.code, detail: error.detail, err: error.cause }, 'request refused')
    return sendProblem(error, request, reply)
  })

  server.setNotFoundHandler((request, reply) => {
    const [path = ''] = request.url.split('?')
    const allowed = patterns.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method)
    if (allowed.length === 0 || allowed.includes(request.method)) {
      return sendProblem(new FrontdeskError('not_found'), request, reply)
    }
    reply.header('allow', [...new Set(allowed)].join(', '))
    return sendProblem(new FrontdeskError('method_not_allowed'), request, reply)
  })
}

/** Answers on the bare socket what is not HTTP, too slow or too large in its headers, and closes it. */
export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  if (socket.destroyed || !socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const problem = toProblem(new FrontdeskError(CLIENT_ERRORS[error.code ?? ''] ?? 'invalid_http'), newId())
  const body = JSON.stringify(problem)
  socket.end(
    [
      `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
      `Content-Type: ${PROBLEM_MEDIA_TYPE}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  )
}
