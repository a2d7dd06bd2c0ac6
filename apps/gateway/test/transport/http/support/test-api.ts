import { createLog } from '#src/log.ts'
import { Alerts } from '#src/services/alerts/alerts.ts'
import { Companies } from '#src/services/companies/companies.ts'
import { Conversations } from '#src/services/conversations/conversations.ts'
import { EventFeed } from '#src/services/events/event-feed.ts'
import { MessageReader } from '#src/services/messages/message-reader.ts'
import { ContactWishes } from '#src/services/outbox/contact-wishes.ts'
import { MessageIntake } from '#src/services/outbox/message-intake.ts'
import { Playground } from '#src/services/playground/playground.ts'
import { OPERATOR } from '#src/services/security/actor.ts'
import { ApiKeys } from '#src/services/security/api-keys.ts'
import { CompanySecrets } from '#src/services/security/company-secrets.ts'
import { createOutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'
import { BulkOperations } from '#src/services/sessions/bulk-operations.ts'
import { PlatformSettings } from '#src/services/sessions/platform-settings.ts'
import { Sessions } from '#src/services/sessions/sessions.ts'
import { TurnReader } from '#src/services/turns/turn-reader.ts'
import { WebhookDeliveries } from '#src/services/webhooks/webhook-deliveries.ts'
import { WebhookDispatcher } from '#src/services/webhooks/webhook-dispatcher.ts'
import { WebhookEndpoints } from '#src/services/webhooks/webhook-endpoints.ts'
import { createHttpServer } from '#src/transport/http/http-server.ts'
import { createTestDatabase, type TestDatabase } from '../../../support/database.ts'

const DEFAULT_MAX_BODY_BYTES = 524_288
export const LINKING_ATTEMPTS_PER_HOUR = 5

export interface Answer {
  status: number
  headers: Headers
  /** The body as JSON; empty when it is none. */
  body: Body
  text: string
}

/** Some fields by their types; which of them are there is what a test finds out. */
interface Body {
  id: string
  key: string
  hint: string
  contactId: string
  instance: string
  next: string | null
  items: Body[]
  [field: string]: unknown
}

export interface Call {
  key?: string
  /** Sent as JSON. */
  json?: unknown
  /** Sent as it is. */
  body?: string | Uint8Array<ArrayBuffer>
  headers?: Record<string, string>
}

/** The HTTP API on a real port over a real database; only the owners of sessions are missing. */
export interface TestApi extends AsyncDisposable {
  readonly url: string
  readonly database: TestDatabase
  readonly sessions: Sessions
  /** The sessions that owners were told to look at. There are no owners here: `showSession` plays them. */
  readonly changedSessions: string[]
  readonly apiKeys: ApiKeys
  readonly platformKey: string
  readonly log: readonly string[]
  /** What `/ready` is told. */
  readonly health: Record<string, boolean>
  call(method: string, path: string, call?: Call): Promise<Answer>
  /** A new company with its key. */
  createCompany(name?: string): Promise<{ id: string; key: string }>
}

export async function startTestApi(options: { maxBodyBytes?: number } = {}): Promise<TestApi> {
  const database = await createTestDatabase()
  const changedSessions: string[] = []
  const urlGuard = createOutgoingUrlGuard(['127.0.0.1'])
  const whatOwnersDo = {
    linkingAttemptsPerHour: LINKING_ATTEMPTS_PER_HOUR,
    onChanged: (sessionId: string) => void changedSessions.push(sessionId),
  }
  const sessions = new Sessions({
    ...{ database: database.database, keyRing: database.keyRing, urlGuard },
    ...whatOwnersDo,
  })
  const apiKeys = new ApiKeys(database.database)
  const lines: string[] = []
  const log = createLog({ level: 'trace', to: { write: (line) => lines.push(line) } })
  const bulkOperations = new BulkOperations({ database: database.database, log, ...whatOwnersDo })
  const health: Record<string, boolean> = { database: true }
  const alerts = new Alerts({ database: database.database, log })
  const intake = new MessageIntake({
    database: database.database,
    onQueued: () => undefined,
    onUnknown: () => undefined,
    onTakenOver: () => undefined,
  })
  const webhooks = { database: database.database, keyRing: database.keyRing, urlGuard, alerts }
  const dispatcher = new WebhookDispatcher({ ...webhooks, log })
  const onDue = (endpointId: string) => dispatcher.look(endpointId)
  const secrets = new CompanySecrets({ database: database.database, keyRing: database.keyRing })
  const server = createHttpServer(
    {
      apiKeys,
      companies: new Companies({ database: database.database, keyRing: database.keyRing }),
      sessions,
      bulkOperations,
      platformSettings: new PlatformSettings({ database: database.database, bulkOperations }),
      outbox: intake,
      messages: new MessageReader(database.database),
      contacts: new ContactWishes(database.database),
      conversations: new Conversations({ database: database.database, onTakenOver: () => undefined }),
      events: new EventFeed(database.database),
      alerts,
      webhookEndpoints: new WebhookEndpoints({ ...webhooks, onChanged: onDue }),
      webhookDeliveries: new WebhookDeliveries({ database: database.database, onDue }),
      secrets,
      turns: new TurnReader(database.database),
      playground: new Playground({
        database: database.database,
        answerer: { urlGuard, mcpServers: [], secret: (companyId, name) => secrets.read(companyId, name), log },
        batching: { quietMs: 0, maxMs: 0, maxMessages: 50 },
      }),
      health: { check: async () => health },
    },
    { log, maxBodyBytes: options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES },
  )
  const platformKey = await apiKeys.createFirstPlatformKey()
  if (platformKey === undefined) throw new Error('The database is not new.')
  const url = await server.listen({ host: '127.0.0.1', port: 0 })

  return {
    url,
    database,
    sessions,
    changedSessions,
    apiKeys,
    platformKey,
    log: lines,
    health,
    async call(method, path, { key, json, body, headers = {} } = {}) {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: {
          ...(key !== undefined && { authorization: `Bearer ${key}` }),
          ...(json !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(json !== undefined && { body: JSON.stringify(json) }),
        ...(body !== undefined && { body }),
        redirect: 'manual',
      })
      const text = await response.text()
      const isJson = /json/.test(response.headers.get('content-type') ?? '')
      return {
        status: response.status,
        headers: response.headers,
        text,
        body: (isJson ? JSON.parse(text) : {}) as Body,
      }
    },
    async createCompany(name) {
      const id = await database.createCompany(name)
      const { key } = await apiKeys.create(id, { name: 'test' }, OPERATOR)
      return { id, key }
    },
    async [Symbol.asyncDispose]() {
      await server.close()
      await bulkOperations[Symbol.asyncDispose]()
      await dispatcher[Symbol.asyncDispose]()
      await urlGuard[Symbol.asyncDispose]()
      await alerts[Symbol.asyncDispose]()
      await intake[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    },
  }
}
