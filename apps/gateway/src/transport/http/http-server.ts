import type { IncomingMessage, ServerResponse } from 'node:http'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifySchemaCompiler,
  LogController,
  type RawServerDefault,
} from 'fastify'
import { serializerCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import type { z } from 'zod'
import type { Logger } from '#src/log.ts'
import { FrontdeskError } from '#src/model/errors.ts'
import { newId } from '#src/model/ids.ts'
import { requireAccess } from './authentication.ts'
import { readJsonOnly } from './body-parser.ts'
import { serveDocumentation } from './documentation.ts'
import { fieldErrors, RequestError } from './http-error.ts'
import { serveLandingPage } from './landing-page.ts'
import { answerClientError, answerProblems, sendProblem } from './problems.ts'
import { logRequests } from './request-log.ts'
import { alertRoutes } from './routes/alerts.ts'
import { apiKeyRoutes } from './routes/api-keys.ts'
import { bulkOperationRoutes } from './routes/bulk-operations.ts'
import { companyRoutes } from './routes/company.ts'
import { contactRoutes } from './routes/contacts.ts'
import { conversationRoutes } from './routes/conversations.ts'
import { deliveryRoutes } from './routes/deliveries.ts'
import { eventRoutes } from './routes/events.ts'
import { healthRoutes } from './routes/health.ts'
import { messageRoutes } from './routes/messages.ts'
import { platformCompanyRoutes } from './routes/platform-companies.ts'
import { platformSettingsRoutes } from './routes/platform-settings.ts'
import { playgroundRoutes } from './routes/playground.ts'
import { secretRoutes } from './routes/secrets.ts'
import { sessionLinkingRoutes } from './routes/session-linking.ts'
import { sessionRoutes } from './routes/sessions.ts'
import { turnRoutes } from './routes/turns.ts'
import { webhookRoutes } from './routes/webhooks.ts'
import { addSecurityHeaders } from './security-headers.ts'
import type { HttpServices } from './services.ts'

export type HttpServer = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>

export interface HttpOptions {
  log: Logger
  maxBodyBytes: number
  /** How long requests may go on once the server is told to close; then their connections are cut. */
  closeGraceMs?: number
}

/** How long each step of a request may take. */
const HEADERS_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 30_000
const HANDLER_TIMEOUT_MS = 30_000
/** Longer than the usual 60 s of load balancers, which must be the ones to close an idle connection. */
const KEEP_ALIVE_TIMEOUT_MS = 72_000
const CLOSE_GRACE_MS = 5_000
const MAX_HEADER_BYTES = 16 * 1024

/** An id of the wrong form names nothing; every other invalid value is said field by field. */
const validatorCompiler: FastifySchemaCompiler<z.ZodType> =
  ({ schema, httpPart }) =>
  (value: unknown) => {
    const result = schema.safeParse(value)
    if (result.success) return { value: result.data }
    return {
      error:
        httpPart === 'params' ? new FrontdeskError('not_found') : new RequestError(fieldErrors(result.error.issues)),
    }
  }

/** The HTTP API over the given services. Not yet listening. */
export function createHttpServer(services: HttpServices, options: HttpOptions): HttpServer {
  const { log, maxBodyBytes, closeGraceMs = CLOSE_GRACE_MS } = options
  const server: HttpServer = Fastify({
    loggerInstance: log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: newId,
    bodyLimit: maxBodyBytes,
    requestTimeout: REQUEST_TIMEOUT_MS,
    handlerTimeout: HANDLER_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    http: { headersTimeout: HEADERS_TIMEOUT_MS, maxHeaderSize: MAX_HEADER_BYTES },
    frameworkErrors: (_error, request, reply) => {
      sendProblem(new FrontdeskError('not_found'), request, reply)
    },
    clientErrorHandler: answerClientError,
  }).withTypeProvider<ZodTypeProvider>()
  server.setValidatorCompiler(validatorCompiler)
  server.setSerializerCompiler(serializerCompiler)

  boundClosing(server, closeGraceMs)
  answerProblems(server)
  addSecurityHeaders(server)
  logRequests(server)
  requireAccess(server, services.apiKeys)
  readJsonOnly(server)
  serveDocumentation(server)
  server.after(() => {
    serveLandingPage(server)
    healthRoutes(server, services)
    platformCompanyRoutes(server, services)
    companyRoutes(server, services)
    apiKeyRoutes(server, services)
    sessionRoutes(server, services)
    sessionLinkingRoutes(server, services)
    bulkOperationRoutes(server, services)
    platformSettingsRoutes(server, services)
    messageRoutes(server, services)
    contactRoutes(server, services)
    conversationRoutes(server, services)
    eventRoutes(server, services)
    alertRoutes(server, services)
    webhookRoutes(server, services)
    deliveryRoutes(server, services)
    secretRoutes(server, services)
    turnRoutes(server, services)
    playgroundRoutes(server, services)
  })
  return server
}

/** A connection that stays open, or was opened and never used, must not keep the process from ending. */
function boundClosing(server: HttpServer, graceMs: number): void {
  server.addHook('preClose', async () => {
    const cut = setTimeout(() => server.server.closeAllConnections(), graceMs)
    server.server.once('close', () => clearTimeout(cut))
  })
}
