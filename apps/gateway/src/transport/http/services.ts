import type {
  AcceptedMessage,
  Alert,
  AlertQuery,
  ApiKey,
  BulkOperation,
  Company,
  Contact,
  Conversation,
  ConversationNote,
  ConversationQuery,
  CreateApiKey,
  CreateBulkOperation,
  CreateCompany,
  CreateConversationNote,
  CreatedApiKey,
  CreatePlatformBulkOperation,
  CreateSession,
  CreateWebhookEndpoint,
  DeliveryQuery,
  EventList,
  LinkingCode,
  LinkSession,
  List,
  MessageResource,
  OutgoingContent,
  PlatformSettings as PlatformSettingsResource,
  PlaygroundAnswer,
  PlaygroundRequest,
  PutSecret,
  ReplayDeliveries,
  ReplayResult,
  RotateWebhookSecret,
  Secret,
  Session,
  SessionDetails,
  TurnDetails,
  TurnQuery,
  TurnResource,
  UpdateCompany,
  UpdateContact,
  UpdateConversation,
  UpdatePlatformSettings,
  UpdateSession,
  UpdateWebhookEndpoint,
  WebhookDelivery,
  WebhookEndpoint,
  WebhookEndpointWithSecret,
} from '@frontdesk/api-contract'
import type { Actor } from '#src/services/security/actor.ts'
import type { Authenticator } from './authentication.ts'

/** What the HTTP server needs of the services. Each throws `FrontdeskError`; another company's thing is `not_found`. */
export interface HttpServices {
  apiKeys: Authenticator & ApiKeyRegistry
  companies: CompanyRegistry
  sessions: SessionRegistry
  bulkOperations: BulkOperations
  platformSettings: PlatformSettings
  outbox: Outbox
  messages: MessageReader
  contacts: Contacts
  conversations: Conversations
  events: EventFeed
  alerts: AlertList
  webhookEndpoints: WebhookEndpoints
  webhookDeliveries: WebhookDeliveries
  secrets: Secrets
  turns: TurnReader
  playground: Playground
  health: Health
}

interface ApiKeyRegistry {
  create(companyId: string, input: CreateApiKey, actor: Actor): Promise<CreatedApiKey>
  list(companyId: string): Promise<ApiKey[]>
  revoke(companyId: string, apiKeyId: string, actor: Actor): Promise<void>
}

export interface CompanyRegistry {
  create(input: CreateCompany, actor: Actor): Promise<Company>
  list(page: { limit: number; cursor?: string | undefined }): Promise<List<Company>>
  get(companyId: string): Promise<Company>
  update(companyId: string, change: UpdateCompany, actor: Actor): Promise<Company>
}

export interface SessionRegistry {
  create(companyId: string, input: CreateSession, actor: Actor): Promise<Session>
  list(companyId: string): Promise<Session[]>
  get(companyId: string, sessionId: string): Promise<SessionDetails>
  update(companyId: string, sessionId: string, change: UpdateSession, actor: Actor): Promise<Session>
  start(companyId: string, sessionId: string, actor: Actor): Promise<Session>
  pause(companyId: string, sessionId: string, actor: Actor): Promise<Session>
  restart(companyId: string, sessionId: string, actor: Actor): Promise<Session>
  logout(companyId: string, sessionId: string, actor: Actor): Promise<Session>
  delete(companyId: string, sessionId: string, actor: Actor): Promise<Session>
  link(companyId: string, sessionId: string, how: LinkSession, actor: Actor): Promise<Session>
  /** Throws `session_not_linking` when there is no code now. */
  linkingCode(companyId: string, sessionId: string): Promise<LinkingCode>
}

interface BulkOperations {
  begin(companyId: string, input: CreateBulkOperation, actor: Actor): Promise<BulkOperation>
  beginForPlatform(input: CreatePlatformBulkOperation, actor: Actor): Promise<BulkOperation>
  get(companyId: string, id: string): Promise<BulkOperation>
  getOfPlatform(id: string): Promise<BulkOperation>
}

interface PlatformSettings {
  get(): Promise<PlatformSettingsResource>
  update(change: UpdatePlatformSettings, actor: Actor): Promise<PlatformSettingsResource>
}

interface Outbox {
  accept(companyId: string, message: AcceptMessage): Promise<AcceptedMessage>
  cancel(companyId: string, messageId: string): Promise<void>
}

interface AcceptMessage {
  sessionId: string
  to: { phone: string } | { contactId: string }
  content: OutgoingContent
  agent?: string
  sendAt?: Date
  expiresAt?: Date
  idempotencyKey?: string
  /** SHA-256 of what is asked for: the same idempotency key with another hash is refused. */
  requestHash: Uint8Array
}

interface Contacts {
  get(companyId: string, contactId: string): Promise<Contact>
  update(companyId: string, contactId: string, change: UpdateContact, actor: Actor): Promise<Contact>
}

interface Conversations {
  list(companyId: string, query: ConversationQuery): Promise<List<Conversation>>
  get(companyId: string, conversationId: string): Promise<Conversation>
  update(companyId: string, conversationId: string, change: UpdateConversation, actor: Actor): Promise<Conversation>
  addNote(
    companyId: string,
    conversationId: string,
    note: CreateConversationNote,
    actor: Actor,
  ): Promise<ConversationNote>
  notes(
    companyId: string,
    conversationId: string,
    page: { limit: number; cursor?: string | undefined },
  ): Promise<List<ConversationNote>>
}

interface MessageReader {
  get(companyId: string, messageId: string): Promise<MessageResource>
  list(companyId: string, query: MessageListQuery): Promise<List<MessageResource>>
}

interface MessageListQuery {
  sessionId?: string | undefined
  contactId?: string | undefined
  limit: number
  cursor?: string | undefined
}

interface EventFeed {
  read(
    companyId: string,
    query: { after?: string | undefined; limit: number; types?: readonly string[] | undefined },
  ): Promise<EventList>
}

interface AlertList {
  list(companyId: string, query: AlertQuery): Promise<List<Alert>>
  listAll(query: AlertQuery): Promise<List<Alert>>
}

interface WebhookEndpoints {
  create(companyId: string, input: CreateWebhookEndpoint, actor: Actor): Promise<WebhookEndpointWithSecret>
  list(companyId: string): Promise<WebhookEndpoint[]>
  get(companyId: string, endpointId: string): Promise<WebhookEndpoint>
  update(companyId: string, endpointId: string, change: UpdateWebhookEndpoint, actor: Actor): Promise<WebhookEndpoint>
  delete(companyId: string, endpointId: string, actor: Actor): Promise<void>
  rotateSecret(
    companyId: string,
    endpointId: string,
    how: RotateWebhookSecret,
    actor: Actor,
  ): Promise<WebhookEndpointWithSecret>
  test(companyId: string, endpointId: string, actor: Actor): Promise<WebhookDelivery>
}

interface WebhookDeliveries {
  list(companyId: string, query: DeliveryQuery): Promise<List<WebhookDelivery>>
  get(companyId: string, id: string): Promise<WebhookDelivery>
  replay(companyId: string, id: string, actor: Actor): Promise<WebhookDelivery>
  replayAll(companyId: string, filter: ReplayDeliveries, actor: Actor): Promise<ReplayResult>
}

interface Secrets {
  put(companyId: string, name: string, input: PutSecret, actor: Actor): Promise<Secret>
  list(companyId: string): Promise<Secret[]>
  delete(companyId: string, name: string, actor: Actor): Promise<void>
}

interface TurnReader {
  get(companyId: string, turnId: string): Promise<TurnDetails>
  list(companyId: string, query: TurnQuery): Promise<List<TurnResource>>
}

interface Playground {
  try(companyId: string, input: PlaygroundRequest, signal: AbortSignal): Promise<PlaygroundAnswer>
}

interface Health {
  /** Each part that the gateway cannot work without, and whether it works. */
  check(): Promise<Record<string, boolean>>
}
