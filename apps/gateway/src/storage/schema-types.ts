import type {
  AlertKind,
  BulkAction,
  BulkFailure,
  ConversationReason,
  ConversationState,
  DeliveryState,
  MessageContent,
  MessageDirection,
  MessageOrigin,
  MessageStatus,
  ResponderSettings,
  SessionSettings,
  TurnTrace,
  WaitReason,
  WebhookAttempt,
  WebhookOrdering,
} from '@frontdesk/api-contract'
import type { ColumnType, Generated, GeneratedAlways, JSONColumnType } from 'kysely'

/** The tables as Kysely sees them. `schema.sql` holds them as they are. */
export interface Schema {
  platform: PlatformTable
  company: CompanyTable
  api_key: ApiKeyTable
  session: SessionTable
  node: NodeTable
  session_lease: SessionLeaseTable
  session_command: SessionCommandTable
  session_activity: SessionActivityTable
  session_uptime: SessionUptimeTable
  linking_attempt: LinkingAttemptTable
  linked_number: LinkedNumberTable
  session_pace: SessionPaceTable
  alert: AlertTable
  signal_key: SignalKeyTable
  retired_signal_key: RetiredSignalKeyTable
  contact: ContactTable
  contact_alias: ContactAliasTable
  turn: TurnTable
  turn_trace: TurnTraceTable
  conversation: ConversationTable
  conversation_note: ConversationNoteTable
  answer_usage: AnswerUsageTable
  company_secret: CompanySecretTable
  message: MessageTable
  journal: JournalTable
  sent_plaintext: SentPlaintextTable
  event: EventTable
  audit_entry: AuditEntryTable
  company_backup: CompanyBackupTable
  bulk_operation: BulkOperationTable
  webhook_endpoint: WebhookEndpointTable
  webhook_delivery: WebhookDeliveryTable
}

type Moment = ColumnType<Date, Date, Date>
/** Set by the database to the present unless given. */
type MomentOfCreation = ColumnType<Date, Date | undefined, never>
/** Written as text that `storableJson` has made. */
type Json<Value extends object> = JSONColumnType<Value>

interface PlatformTable {
  only_row: Generated<boolean>
  environment: 'whatsapp' | 'emulator'
  master_key_check: Uint8Array
  former_master_key_check: Uint8Array | null
  master_key_since: ColumnType<Date, Date | undefined, Date>
  data_key_version: Generated<number>
  wa_version: string | null
  created_at: MomentOfCreation
}

interface CompanyTable {
  id: string
  name: string
  settings: ColumnType<Record<string, unknown>, string | undefined, string>
  data_key: Uint8Array
  former_data_key: Uint8Array | null
  data_key_number: Generated<number>
  data_key_since: ColumnType<Date, Date | undefined, Date>
  data_key_version: Generated<number>
  data_key_rotation: Generated<'none' | 'resealing' | 'resealed'>
  created_at: MomentOfCreation
}

interface ApiKeyTable {
  id: string
  company_id: string | null
  name: string
  hash: Uint8Array
  hint: string
  created_at: MomentOfCreation
  expires_at: Moment | null
  revoked_at: Moment | null
}

/** What a company wants of a session; `deleted` is final. */
export type DesiredState = 'stopped' | 'running' | 'logged_out' | 'deleted'

/** What the API asks of a session's owner beyond its desired state. */
export type SessionCommandKind = 'restart' | 'new_code'

export type SessionState =
  | 'created'
  | 'linking'
  | 'connecting'
  | 'online'
  | 'reconnecting'
  | 'paused'
  | 'logged_out'
  | 'banned'
  | 'conflict'
  | 'failed'

interface SessionTable {
  id: string
  company_id: string
  name: string
  provider: 'baileys'
  desired: Generated<DesiredState>
  state: Generated<SessionState>
  reason: string | null
  state_since: ColumnType<Date, Date | undefined, Date>
  linked_at: Moment | null
  phone: string | null
  lid: string | null
  settings: ColumnType<SessionSettings, string | undefined, string>
  proxy: Uint8Array | null
  next_attempt_at: Moment | null
  attempts: Generated<number>
  linking_method: 'qr' | 'pairing_code' | null
  linking_phone: string | null
  linking_code: Uint8Array | null
  linking_code_expires_at: Moment | null
  deleted_at: Moment | null
  created_at: MomentOfCreation
}

interface SessionCommandTable {
  id: string
  company_id: string
  session_id: string
  kind: SessionCommandKind
  parameters: ColumnType<Record<string, unknown>, string | undefined, never>
  state: Generated<'waiting' | 'done' | 'failed'>
  error_code: string | null
  created_at: MomentOfCreation
  done_at: Moment | null
}

interface SessionActivityTable {
  session_id: string
  company_id: string
  last_inbound_at: Moment | null
  last_outbound_at: Moment | null
  phone_seen_at: Moment | null
}

interface SessionUptimeTable {
  session_id: string
  company_id: string
  /** `YYYY-MM-DD`, of UTC. */
  day: string
  online_ms: Generated<number>
  meant_ms: Generated<number>
}

interface LinkingAttemptTable {
  id: GeneratedAlways<number>
  company_id: string
  session_id: string
  created_at: MomentOfCreation
}

interface LinkedNumberTable {
  company_id: string
  phone: string
  linked_at: Moment
}

interface SessionPaceTable {
  session_id: string
  company_id: string
  /** `YYYY-MM-DD`, of UTC. */
  day: string | null
  new_contacts: Generated<number>
  halvings: Generated<number>
  throttled_at: Moment | null
}

interface AlertTable {
  id: string
  company_id: string | null
  session_id: string | null
  endpoint_id: string | null
  conversation_id: string | null
  kind: AlertKind
  detail: Generated<Json<Record<string, unknown>>>
  raised_at: MomentOfCreation
  cleared_at: Moment | null
}

interface NodeTable {
  id: string
  incarnation: number
  started_at: MomentOfCreation
  seen_at: ColumnType<Date, Date | undefined, Date>
  former_seen_at: Moment | null
}

interface SessionLeaseTable {
  session_id: string
  company_id: string
  node_id: string
  node_incarnation: Generated<number>
  epoch: Generated<number>
}

interface SignalKeyTable {
  session_id: string
  kind: number
  id: string
  value: Uint8Array
}

interface RetiredSignalKeyTable extends SignalKeyTable {
  retired_at: Moment
}

interface ContactTable {
  id: string
  company_id: string
  name: string | null
  merged_into: string | null
  opted_out_at: Moment | null
  created_at: MomentOfCreation
}

interface ContactAliasTable {
  company_id: string
  kind: 'phone' | 'lid'
  value: string
  contact_id: string
  created_at: MomentOfCreation
}

interface TurnTable {
  id: string
  company_id: string
  session_id: string
  contact_id: string
  state: Generated<'open' | 'answered' | 'unanswered'>
  responder: string | null
  error_code: string | null
  created_at: MomentOfCreation
  closed_at: Moment | null
  conversation_id: string | null
  held_until: Moment | null
}

interface TurnTraceTable {
  turn_id: string
  company_id: string
  trace: Json<TurnTrace>
  created_at: MomentOfCreation
}

interface ConversationTable {
  id: string
  company_id: string
  session_id: string
  contact_id: string
  state: Generated<ConversationState>
  reason: Generated<ConversationReason>
  detail: string | null
  state_since: ColumnType<Date, Date | undefined, Date>
  returns_at: Moment | null
  assignee: string | null
  labels: Generated<string[]>
  responders: ColumnType<ResponderSettings[] | null, string | null | undefined, string | null>
  turns: Generated<number>
  cost_micros: Generated<number>
  created_at: MomentOfCreation
}

interface ConversationNoteTable {
  id: string
  company_id: string
  conversation_id: string
  author: string | null
  text: string
  created_at: MomentOfCreation
}

interface AnswerUsageTable {
  company_id: string
  /** Of UTC. */
  day: string
  turns: Generated<number>
  input_tokens: Generated<number>
  output_tokens: Generated<number>
  cost_micros: Generated<number>
}

interface CompanySecretTable {
  company_id: string
  name: string
  /** Sealed. */
  value: Uint8Array
  hint: string
  updated_at: ColumnType<Date, Date | undefined, Date>
}

interface MessageTable {
  id: string
  company_id: string
  session_id: string
  contact_id: string
  direction: MessageDirection
  origin: MessageOrigin
  whatsapp_id: string
  status: MessageStatus
  content: Json<MessageContent>
  raw: Uint8Array | null
  envelope: ColumnType<Record<string, string> | null, string | null | undefined, string | null>
  ciphertext_hash: Uint8Array | null
  turn_id: string | null
  is_answerable: Generated<boolean>
  idempotency_key: string | null
  request_hash: Uint8Array | null
  attempts: Generated<number>
  next_attempt_at: Moment | null
  wait_reason: WaitReason | null
  send_at: Moment | null
  typing_ms: number | null
  agent: string | null
  expires_at: Moment | null
  error_code: string | null
  created_at: MomentOfCreation
  sent_at: Moment | null
  delivered_at: Moment | null
  read_at: Moment | null
}

interface JournalTable {
  session_id: string
  ciphertext_hash: Uint8Array
  plaintext: Uint8Array
  created_at: MomentOfCreation
}

interface SentPlaintextTable {
  session_id: string
  whatsapp_id: string
  recipient: string
  plaintext: Uint8Array
  requests: Generated<Json<Record<string, number>>>
  created_at: MomentOfCreation
}

interface EventTable {
  id: GeneratedAlways<number>
  transaction: ColumnType<bigint, never, never>
  company_id: string
  type: string
  session_id: string | null
  subject_id: string | null
  data: ColumnType<Record<string, unknown>, string | undefined, never>
  created_at: MomentOfCreation
}

interface CompanyBackupTable {
  company_id: string
  begun_at: Moment
  finished_at: Moment | null
  failures: Generated<number>
}

interface BulkOperationTable {
  id: string
  company_id: string | null
  api_key_id: string | null
  action: BulkAction
  session_ids: string[]
  done: Generated<number>
  failed: Generated<number>
  failures: ColumnType<BulkFailure[], string | undefined, string>
  created_at: MomentOfCreation
  stepped_at: ColumnType<Date, Date | undefined, Date>
  finished_at: Moment | null
}

interface WebhookEndpointTable {
  id: string
  company_id: string
  url: string
  event_types: string[] | null
  ordering: WebhookOrdering
  is_enabled: Generated<boolean>
  secrets: Uint8Array
  failures: Generated<number>
  paused_until: Moment | null
  created_at: MomentOfCreation
}

interface WebhookDeliveryTable {
  id: GeneratedAlways<number>
  company_id: string
  endpoint_id: string
  event_id: number
  event_transaction: bigint
  event_at: Moment
  event_type: string
  lane: string
  state: Generated<DeliveryState>
  next_attempt_at: ColumnType<Date, Date | undefined, Date>
  not_before: Date | null
  give_up_at: ColumnType<Date, Date | undefined, Date>
  claim: Generated<number>
  attempts: Generated<number>
  attempt_log: ColumnType<WebhookAttempt[], string | undefined, string>
  created_at: MomentOfCreation
  finished_at: Moment | null
}

interface AuditEntryTable {
  id: GeneratedAlways<number>
  company_id: string | null
  api_key_id: string | null
  action: string
  subject_id: string | null
  detail: ColumnType<Record<string, unknown>, string | undefined, never>
  created_at: MomentOfCreation
}
