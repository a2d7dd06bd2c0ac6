-- The whole schema as the migrations make it, for reading. A test holds it against them; after a change to them it is
-- written anew by: npx vitest run apps/gateway/test/storage/schema.test.ts --update
create table alert (
  id uuid not null,
  company_id uuid,
  session_id uuid,
  kind text not null,
  detail jsonb not null default '{}'::jsonb,
  raised_at timestamp with time zone not null default now(),
  cleared_at timestamp with time zone,
  endpoint_id uuid,
  conversation_id uuid,
  constraint alert_company_id_fkey FOREIGN KEY (company_id) REFERENCES company(id) ON DELETE CASCADE,
  constraint alert_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES conversation(id) ON DELETE CASCADE,
  constraint alert_pkey PRIMARY KEY (id),
  constraint alert_session_id_fkey FOREIGN KEY (session_id) REFERENCES session(id) ON DELETE CASCADE
);

create table answer_usage (
  company_id uuid not null,
  day date not null,
  turns integer not null default 0,
  input_tokens bigint not null default 0,
  output_tokens bigint not null default 0,
  cost_micros bigint not null default 0,
  constraint answer_usage_company_id_fkey FOREIGN KEY (company_id) REFERENCES company(id) ON DELETE CASCADE,
  constraint answer_usage_pkey PRIMARY KEY (company_id, day)
) with (fillfactor=80);

create table api_key (
  id uuid not null,
  company_id uuid,
  name text not null,
  hash bytea not null,
  hint text not null,
  created_at timestamp with time zone not null default now(),
  expires_at timestamp with time zone,
  revoked_at timestamp with time zone,
  constraint api_key_company_id_fkey FOREIGN KEY (company_id) REFERENCES company(id) ON DELETE CASCADE,
  constraint api_key_hash_key UNIQUE (hash),
  constraint api_key_pkey PRIMARY KEY (id)
);

create table audit_entry (
  id bigint not null generated always as identity,
  company_id uuid,
  api_key_id uuid,
  action text not null,
  subject_id uuid,
  detail jsonb not null default '{}'::jsonb,
  created_at timestamp with time zone not null default now(),
  constraint audit_entry_pkey PRIMARY KEY (id)
);

create table bulk_operation (
  id uuid not null,
  company_id uuid,
  api_key_id uuid,
  action text not null,
  session_ids uuid[] not null,
  done integer not null default 0,
  failed integer not null default 0,
  failures jsonb not null default '[]'::jsonb,
  created_at timestamp with time zone not null default now(),
  stepped_at timestamp with time zone not null default now(),
  finished_at timestamp with time zone,
  constraint bulk_operation_action_check CHECK ((action = ANY (ARRAY['start'::text, 'pause'::text, 'restart'::text, 'logout'::text, 'delete'::text]))),
  constraint bulk_operation_company_id_fkey FOREIGN KEY (company_id) REFERENCES company(id) ON DELETE CASCADE,
  constraint bulk_operation_pkey PRIMARY KEY (id)
);

create table company (
  id uuid not null,
  name text not null,
  settings jsonb not null default '{}'::jsonb,
  data_key bytea not null,
  created_at timestamp with time zone not null default now(),
  former_data_key bytea,
  data_key_number integer not null default 1,
  data_key_since timestamp with time zone not null default now(),
  data_key_version bigint not null default 0,
  data_key_rotation text not null default 'none'::text,
  constraint company_data_key_rotation_check CHECK ((data_key_rotation = ANY (ARRAY['none'::text, 'resealing'::text, 'resealed'::text]))),
  constraint company_pkey PRIMARY KEY (id)
);

create table company_backup (
  company_id uuid not null,
  begun_at timestamp with time zone not null,
  finished_at timestamp with time zone,
  failures integer not null default 0,
  constraint company_backup_company_id_fkey FOREIGN KEY (company_id) REFERENCES company(id) ON DELETE CASCADE,
  constraint company_backup_pkey PRIMARY KEY (company_id)
);

create table company_secret (
  company_id uuid not null,
  name text not null,
  value bytea not null,
  hint text not null,
  updated_at timestamp with time zone not null default now(),
  constraint company_secret_company_id_fkey FOREIGN KEY (company_id) REFERENCES company(id) ON DELETE CASCADE,
  constraint company_secret_pkey PRIMARY KEY (company_id, name)
);

create table contact (
  id uuid not null,
  company_id uuid not null,
  name text,
  merged_into uuid,
  created_at timestamp with time zone not null default now(),
  opted_out_at timestamp with time zone,
  constraint contact_company_id_fkey FOREIGN KEY (company_id) REFERENCES company(id) ON DELETE CASCADE,
  constraint contact_merged_into_fkey FOREIGN KEY (merged_into) REFERENCES contact(id),
  constraint contact_pkey PRIMARY KEY (id)
);

create table contact_alias (
  company_id uuid not null,
  kind text not null,
  value text not null,
  contact_id uuid not null,
  created_at timestamp with time zone not null default now(),
  constraint contact_alias_company_id_fkey FOREIGN KEY (company_id) REFERENCES company(id) ON DELETE CASCADE,
  constraint contact_alias_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES contact(id) ON DELETE CASCADE,
  constraint contact_alias_kind_check CHECK ((kind = ANY (ARRAY['phone'::text, 'lid'::text]))),
  constraint contact_alias_pkey PRIMARY KEY (company_id, kind, value)
);

create table conversation (
  id uuid not null,
  company_id uuid not null,
  session_id uuid not null,
  contact_id uuid not null,
  state text not null default 'bot'::text,
  reason text not null default 'customer_wrote'::text,
  detail text,
  state_since timestamp with time zone not null default now(),
  returns_at timestamp with time zone,
  assignee text,
  labels text[] not null default '{}'::text[],
  responders jsonb,
  turns integer not null default 0,
  cost_micros bigint not null default 0,
  created_at timestamp with time zone not null default now(),
  constraint conversation_check CHECK (((returns_at IS NULL) OR (state = ANY (ARRAY['waiting'::text, 'human'::text])))),
  constraint conversation_company_id_fkey FOREIGN KEY (company_id) REFERENCES company(id) ON DELETE CASCADE,
  constraint conversation_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES contact(id),
  constraint conversation_pkey PRIMARY KEY (id),
  constraint conversation_session_id_contact_id_key UNIQUE (session_id, contact_id),
  constraint conversation_session_id_fkey FOREIGN KEY (session_id) REFERENCES session(id) ON DELETE CASCADE,
  constraint conversation_state_check CHECK ((state = ANY (ARRAY['bot'::text, 'waiting'::text, 'human'::text, 'closed'::text])))
) with (fillfactor=80);

create table conversation_note (
  id uuid not null,
  company_id uuid not null,
  conversation_id uuid not null,
  author text,
  text text not null,
  created_at timestamp with time zone not null default now(),
  constraint conversation_note_company_id_fkey FOREIGN KEY (company_id) REFERENCES company(id) ON DELETE CASCADE,
  constraint conversation_note_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES conversation(id) ON DELETE CASCADE,
  constraint conversation_note_pkey PRIMARY KEY (id)
);

create table event (
  id bigint not null generated always as identity,
  transaction xid8 not null default pg_current_xact_id(),
  company_id uuid not null,
  type text not null,
  session_id uuid,
  subject_id uuid,
  data jsonb not null default '{}'::jsonb,
  created_at timestamp with time zone not null default now()
) partition by RANGE (created_at);

create table event_default partition of event DEFAULT (
  id bigint not null generated always as identity,
  transaction xid8 not null default pg_current_xact_id(),
  company_id uuid not null,
  type text not null,
  session_id uuid,
  subject_id uuid,
  data jsonb not null default '{}'::jsonb,
  created_at timestamp with time zone not null default now()
);

create table journal (
  session_id uuid not null,
  ciphertext_hash bytea not null,
  plaintext bytea not null,
  created_at timestamp with time zone not null default now(),
  constraint journal_pkey PRIMARY KEY (session_id, ciphertext_hash),
  constraint journal_session_id_fkey FOREIGN KEY (session_id) REFERENCES session(id) ON DELETE CASCADE
);

create table linked_number (
  company_id uuid not null,
  phone text not null,
  linked_at timestamp with time zone not null,
  constraint linked_number_company_id_fkey FOREIGN KEY (company_id) REFERENCES company(id) ON DELETE CASCADE,
  constraint linked_number_pkey PRIMARY KEY (company_id, phone)
);

create table linking_attempt (
  id bigint not null generated always as identity,
  company_id uuid not null,
  session_id uuid not null,
  created_at timestamp with time zone not null default now(),
  constraint linking_attempt_company_id_fkey FOREIGN KEY (company_id) REFERENCES company(id) ON DELETE CASCADE,
  constraint linking_attempt_pkey PRIMARY KEY (id),
  constraint linking_attempt_session_id_fkey FOREIGN KEY (session_id) REFERENCES session(id) ON DELETE CASCADE
);

create table message (
  id uuid not null,
  company_id uuid not null,
  session_id uuid not null,
  contact_id uuid not null,
  direction text not null,
  origin text not null,
  whatsapp_id text not null,
  status text not null,
  content jsonb not null,
  raw bytea,
  envelope jsonb,
  ciphertext_hash bytea,
  turn_id uuid,
  is_answerable boolean not null default false,
  idempotency_key text,
  request_hash bytea,
  attempts smallint not null default 0,
  next_attempt_at timestamp with time zone,
  error_code text,
  created_at timestamp with time zone not null default now(),
  sent_at timestamp with time zone,
  delivered_at timestamp with time zone,
  read_at timestamp with time zone,
  send_at timestamp with time zone,
  expires_at timestamp with time zone,
  wait_reason text,
  typing_ms integer,
  agent text,
  constraint message_company_id_fkey FOREIGN KEY (company_id) REFERENCES company(id) ON DELETE CASCADE,
  constraint message_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES contact(id),
  constraint message_direction_check CHECK ((direction = ANY (ARRAY['inbound'::text, 'outbound'::text]))),
  constraint message_origin_check CHECK ((origin = ANY (ARRAY['customer'::text, 'api'::text, 'responder'::text, 'phone'::text]))),
  constraint message_pkey PRIMARY KEY (id),
  constraint message_session_id_direction_whatsapp_id_contact_id_key UNIQUE (session_id, direction, whatsapp_id, contact_id),
  constraint message_session_id_fkey FOREIGN KEY (session_id) REFERENCES session(id) ON DELETE CASCADE,
  constraint message_status_check CHECK ((status = ANY (ARRAY['received'::text, 'queued'::text, 'sent'::text, 'delivered'::text, 'read'::text, 'played'::text, 'failed'::text]))),
  constraint message_turn_id_fkey FOREIGN KEY (turn_id) REFERENCES turn(id),
  constraint message_wait_reason_check CHECK ((wait_reason = ANY (ARRAY['scheduled'::text, 'retry'::text, 'throttled'::text, 'pace'::text, 'warm_up'::text, 'new_contacts'::text])))
) with (fillfactor=80);

create table node (
  id uuid not null,
  incarnation bigint not null,
  seen_at timestamp with time zone not null default now(),
  started_at timestamp with time zone not null default now(),
  former_seen_at timestamp with time zone,
  constraint node_pkey PRIMARY KEY (id)
);

create table platform (
  only_row boolean not null default true,
  environment text not null,
  master_key_check bytea not null,
  created_at timestamp with time zone not null default now(),
  former_master_key_check bytea,
  master_key_since timestamp with time zone not null default now(),
  data_key_version bigint not null default 0,
  wa_version text,
  constraint platform_environment_check CHECK ((environment = ANY (ARRAY['whatsapp'::text, 'emulator'::text]))),
  constraint platform_only_row_check CHECK (only_row),
  constraint platform_pkey PRIMARY KEY (only_row)
);

create table retired_signal_key (
  session_id uuid not null,
  kind smallint not null,
  id text not null,
  value bytea not null,
  retired_at timestamp with time zone not null,
  constraint retired_signal_key_pkey PRIMARY KEY (session_id, kind, id),
  constraint retired_signal_key_session_id_fkey FOREIGN KEY (session_id) REFERENCES session(id) ON DELETE CASCADE
);

create table schema_migration (
  version integer not null,
  name text not null,
  checksum text not null,
  applied_at timestamp with time zone not null default now(),
  constraint schema_migration_pkey PRIMARY KEY (version)
);

create table sent_plaintext (
  session_id uuid not null,
  whatsapp_id text not null,
  recipient text not null,
  plaintext bytea not null,
  requests jsonb not null default '{}'::jsonb,
  created_at timestamp with time zone not null default now(),
  constraint sent_plaintext_pkey PRIMARY KEY (session_id, whatsapp_id),
  constraint sent_plaintext_session_id_fkey FOREIGN KEY (session_id) REFERENCES session(id) ON DELETE CASCADE
);

create table session (
  id uuid not null,
  company_id uuid not null,
  name text not null,
  provider text not null,
  state text not null default 'created'::text,
  reason text,
  state_since timestamp with time zone not null default now(),
  linked_at timestamp with time zone,
  phone text,
  lid text,
  created_at timestamp with time zone not null default now(),
  desired text not null default 'stopped'::text,
  settings jsonb not null default '{}'::jsonb,
  proxy bytea,
  next_attempt_at timestamp with time zone,
  attempts integer not null default 0,
  linking_method text,
  linking_phone text,
  linking_code bytea,
  linking_code_expires_at timestamp with time zone,
  deleted_at timestamp with time zone,
  constraint session_company_id_fkey FOREIGN KEY (company_id) REFERENCES company(id) ON DELETE CASCADE,
  constraint session_desired_check CHECK ((desired = ANY (ARRAY['stopped'::text, 'running'::text, 'logged_out'::text, 'deleted'::text]))),
  constraint session_linking_method_check CHECK ((linking_method = ANY (ARRAY['qr'::text, 'pairing_code'::text]))),
  constraint session_pkey PRIMARY KEY (id),
  constraint session_provider_check CHECK ((provider = 'baileys'::text)),
  constraint session_state_check CHECK ((state = ANY (ARRAY['created'::text, 'linking'::text, 'connecting'::text, 'online'::text, 'reconnecting'::text, 'paused'::text, 'logged_out'::text, 'banned'::text, 'conflict'::text, 'failed'::text])))
);

create table session_activity (
  session_id uuid not null,
  company_id uuid not null,
  last_inbound_at timestamp with time zone,
  last_outbound_at timestamp with time zone,
  phone_seen_at timestamp with time zone,
  constraint session_activity_company_id_fkey FOREIGN KEY (company_id) REFERENCES company(id) ON DELETE CASCADE,
  constraint session_activity_pkey PRIMARY KEY (session_id),
  constraint session_activity_session_id_fkey FOREIGN KEY (session_id) REFERENCES session(id) ON DELETE CASCADE
) with (fillfactor=50);

create table session_command (
  id uuid not null,
  company_id uuid not null,
  session_id uuid not null,
  kind text not null,
  parameters jsonb not null default '{}'::jsonb,
  state text not null default 'waiting'::text,
  error_code text,
  created_at timestamp with time zone not null default now(),
  done_at timestamp with time zone,
  constraint session_command_company_id_fkey FOREIGN KEY (company_id) REFERENCES company(id) ON DELETE CASCADE,
  constraint session_command_pkey PRIMARY KEY (id),
  constraint session_command_session_id_fkey FOREIGN KEY (session_id) REFERENCES session(id) ON DELETE CASCADE,
  constraint session_command_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'done'::text, 'failed'::text])))
);

create table session_lease (
  session_id uuid not null,
  company_id uuid not null,
  node_id uuid not null,
  epoch bigint not null default 1,
  node_incarnation bigint not null default 0,
  constraint session_lease_company_id_fkey FOREIGN KEY (company_id) REFERENCES company(id) ON DELETE CASCADE,
  constraint session_lease_pkey PRIMARY KEY (session_id),
  constraint session_lease_session_id_fkey FOREIGN KEY (session_id) REFERENCES session(id) ON DELETE CASCADE
) with (fillfactor=70);

create table session_pace (
  session_id uuid not null,
  company_id uuid not null,
  day date,
  new_contacts integer not null default 0,
  halvings smallint not null default 0,
  throttled_at timestamp with time zone,
  constraint session_pace_company_id_fkey FOREIGN KEY (company_id) REFERENCES company(id) ON DELETE CASCADE,
  constraint session_pace_pkey PRIMARY KEY (session_id),
  constraint session_pace_session_id_fkey FOREIGN KEY (session_id) REFERENCES session(id) ON DELETE CASCADE
);

create table session_uptime (
  session_id uuid not null,
  company_id uuid not null,
  day date not null,
  online_ms bigint not null default 0,
  meant_ms bigint not null default 0,
  constraint session_uptime_company_id_fkey FOREIGN KEY (company_id) REFERENCES company(id) ON DELETE CASCADE,
  constraint session_uptime_pkey PRIMARY KEY (session_id, day),
  constraint session_uptime_session_id_fkey FOREIGN KEY (session_id) REFERENCES session(id) ON DELETE CASCADE
) with (fillfactor=50);

create table signal_key (
  session_id uuid not null,
  kind smallint not null,
  id text not null,
  value bytea not null,
  constraint signal_key_pkey PRIMARY KEY (session_id, kind, id),
  constraint signal_key_session_id_fkey FOREIGN KEY (session_id) REFERENCES session(id) ON DELETE CASCADE
) with (fillfactor=80);

create table turn (
  id uuid not null,
  company_id uuid not null,
  session_id uuid not null,
  contact_id uuid not null,
  state text not null default 'open'::text,
  responder text,
  error_code text,
  created_at timestamp with time zone not null default now(),
  closed_at timestamp with time zone,
  conversation_id uuid,
  held_until timestamp with time zone,
  constraint turn_company_id_fkey FOREIGN KEY (company_id) REFERENCES company(id) ON DELETE CASCADE,
  constraint turn_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES contact(id),
  constraint turn_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES conversation(id) ON DELETE SET NULL,
  constraint turn_pkey PRIMARY KEY (id),
  constraint turn_session_id_fkey FOREIGN KEY (session_id) REFERENCES session(id) ON DELETE CASCADE,
  constraint turn_state_check CHECK ((state = ANY (ARRAY['open'::text, 'answered'::text, 'unanswered'::text])))
);

create table turn_trace (
  turn_id uuid not null,
  company_id uuid not null,
  trace jsonb not null,
  created_at timestamp with time zone not null default now(),
  constraint turn_trace_company_id_fkey FOREIGN KEY (company_id) REFERENCES company(id) ON DELETE CASCADE,
  constraint turn_trace_pkey PRIMARY KEY (turn_id),
  constraint turn_trace_turn_id_fkey FOREIGN KEY (turn_id) REFERENCES turn(id) ON DELETE CASCADE
);

create table webhook_delivery (
  id bigint not null generated always as identity,
  company_id uuid not null,
  endpoint_id uuid not null,
  event_id bigint not null,
  event_transaction xid8 not null,
  event_at timestamp with time zone not null,
  event_type text not null,
  lane text not null,
  state text not null default 'waiting'::text,
  next_attempt_at timestamp with time zone not null default now(),
  give_up_at timestamp with time zone not null default (now() + '24:00:00'::interval),
  claim integer not null default 0,
  attempts integer not null default 0,
  attempt_log jsonb not null default '[]'::jsonb,
  created_at timestamp with time zone not null default now(),
  finished_at timestamp with time zone,
  not_before timestamp with time zone,
  constraint webhook_delivery_pkey PRIMARY KEY (id),
  constraint webhook_delivery_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'delivered'::text, 'dead'::text])))
) with (fillfactor=80);

create table webhook_endpoint (
  id uuid not null,
  company_id uuid not null,
  url text not null,
  event_types text[],
  ordering text not null,
  is_enabled boolean not null default true,
  secrets bytea not null,
  failures integer not null default 0,
  paused_until timestamp with time zone,
  created_at timestamp with time zone not null default now(),
  constraint webhook_endpoint_company_id_fkey FOREIGN KEY (company_id) REFERENCES company(id) ON DELETE CASCADE,
  constraint webhook_endpoint_ordering_check CHECK ((ordering = ANY (ARRAY['none'::text, 'chat'::text]))),
  constraint webhook_endpoint_pkey PRIMARY KEY (id)
);


alter table company_secret alter column value set storage external;
alter table retired_signal_key alter column value set storage external;
alter table sent_plaintext alter column plaintext set storage external;
alter table signal_key alter column value set storage external;

CREATE INDEX alert_company ON public.alert USING btree (company_id, id);
CREATE INDEX alert_conversation ON public.alert USING btree (conversation_id) WHERE (conversation_id IS NOT NULL);
CREATE UNIQUE INDEX alert_raised ON public.alert USING btree (kind, company_id, session_id, endpoint_id, conversation_id) NULLS NOT DISTINCT WHERE (cleared_at IS NULL);
CREATE INDEX alert_session ON public.alert USING btree (session_id) WHERE (session_id IS NOT NULL);
CREATE INDEX api_key_company ON public.api_key USING btree (company_id);
CREATE INDEX audit_company ON public.audit_entry USING btree (company_id, id);
CREATE INDEX bulk_operation_age ON public.bulk_operation USING btree (created_at);
CREATE INDEX bulk_operation_company ON public.bulk_operation USING btree (company_id);
CREATE INDEX bulk_operation_open ON public.bulk_operation USING btree (stepped_at) WHERE (finished_at IS NULL);
CREATE INDEX contact_alias_contact ON public.contact_alias USING btree (contact_id);
CREATE INDEX contact_company ON public.contact USING btree (company_id, id);
CREATE INDEX contact_merged ON public.contact USING btree (merged_into) WHERE (merged_into IS NOT NULL);
CREATE INDEX conversation_company ON public.conversation USING btree (company_id, id);
CREATE INDEX conversation_contact ON public.conversation USING btree (contact_id);
CREATE INDEX conversation_note_company ON public.conversation_note USING btree (company_id);
CREATE INDEX conversation_note_conversation ON public.conversation_note USING btree (conversation_id, id);
CREATE INDEX conversation_return ON public.conversation USING btree (returns_at) WHERE (returns_at IS NOT NULL);
CREATE INDEX conversation_with_people ON public.conversation USING btree (company_id, state, id) WHERE (state = ANY (ARRAY['waiting'::text, 'human'::text]));
CREATE INDEX event_default_company_id_transaction_id_idx ON public.event_default USING btree (company_id, transaction, id);
CREATE INDEX event_feed ON ONLY public.event USING btree (company_id, transaction, id);
CREATE INDEX linking_attempt_company ON public.linking_attempt USING btree (company_id, created_at);
CREATE INDEX linking_attempt_session ON public.linking_attempt USING btree (session_id);
CREATE INDEX message_ciphertext ON public.message USING btree (session_id, ciphertext_hash) WHERE (ciphertext_hash IS NOT NULL);
CREATE INDEX message_ciphertext_age ON public.message USING btree (id) WHERE (ciphertext_hash IS NOT NULL);
CREATE INDEX message_company ON public.message USING btree (company_id, id);
CREATE INDEX message_contact ON public.message USING btree (contact_id, id);
CREATE INDEX message_deferred ON public.message USING btree (session_id, next_attempt_at) WHERE ((status = 'queued'::text) AND (next_attempt_at IS NOT NULL));
CREATE INDEX message_expiry ON public.message USING btree (expires_at) WHERE (status = 'queued'::text);
CREATE UNIQUE INDEX message_idempotency ON public.message USING btree (company_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE INDEX message_pending ON public.message USING btree (session_id, id) WHERE (((content ->> 'kind'::text) = 'pending'::text) AND ((content ->> 'reason'::text) = ANY (ARRAY['undecrypted'::text, 'unavailable'::text])));
CREATE INDEX message_queued ON public.message USING btree (session_id, id) WHERE (status = 'queued'::text);
CREATE INDEX message_turn ON public.message USING btree (turn_id) WHERE (turn_id IS NOT NULL);
CREATE INDEX message_waiting ON public.message USING btree (session_id, contact_id, id) WHERE ((direction = 'inbound'::text) AND (turn_id IS NULL) AND is_answerable);
CREATE INDEX retired_signal_key_age ON public.retired_signal_key USING btree (retired_at);
CREATE INDEX session_command_age ON public.session_command USING btree (created_at);
CREATE INDEX session_command_waiting ON public.session_command USING btree (session_id, id) WHERE (state = 'waiting'::text);
CREATE INDEX session_deleted ON public.session USING btree (deleted_at) WHERE (deleted_at IS NOT NULL);
CREATE INDEX session_desired ON public.session USING btree (desired, id) WHERE (deleted_at IS NULL);
CREATE INDEX session_lease_node ON public.session_lease USING btree (node_id, node_incarnation);
CREATE UNIQUE INDEX session_name ON public.session USING btree (company_id, name) WHERE (deleted_at IS NULL);
CREATE INDEX session_pace_company ON public.session_pace USING btree (company_id);
CREATE UNIQUE INDEX session_phone ON public.session USING btree (phone) WHERE ((linked_at IS NOT NULL) AND (deleted_at IS NULL));
CREATE INDEX turn_company ON public.turn USING btree (company_id, id);
CREATE INDEX turn_contact ON public.turn USING btree (contact_id);
CREATE INDEX turn_conversation ON public.turn USING btree (conversation_id) WHERE (conversation_id IS NOT NULL);
CREATE INDEX turn_held ON public.turn USING btree (session_id, contact_id, held_until) WHERE (held_until IS NOT NULL);
CREATE INDEX turn_open ON public.turn USING btree (session_id, id) WHERE (state = 'open'::text);
CREATE INDEX turn_session ON public.turn USING btree (session_id);
CREATE INDEX turn_trace_age ON public.turn_trace USING brin (created_at);
CREATE INDEX turn_trace_company ON public.turn_trace USING btree (company_id);
CREATE INDEX webhook_delivery_company ON public.webhook_delivery USING btree (company_id, id);
CREATE INDEX webhook_delivery_due ON public.webhook_delivery USING btree (endpoint_id, next_attempt_at, id) WHERE (state = 'waiting'::text);
CREATE INDEX webhook_delivery_lane ON public.webhook_delivery USING btree (endpoint_id, lane, id) WHERE (state = 'waiting'::text);
CREATE INDEX webhook_endpoint_company ON public.webhook_endpoint USING btree (company_id, id);

CREATE OR REPLACE FUNCTION public.append_webhook_deliveries()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  due text;
begin
  -- What this costs a company without endpoints.
  if not exists (
    select from appended join webhook_endpoint endpoint on endpoint.company_id = appended.company_id and endpoint.is_enabled
  ) then
    return null;
  end if;
  with added as (
    insert into webhook_delivery (company_id, endpoint_id, event_id, event_transaction, event_at, event_type, lane)
    select appended.company_id, endpoint.id, appended.id, appended.transaction, appended.created_at, appended.type,
      coalesce(
        appended.data->>'contactId',
        case when appended.type = 'message.status_changed' then
          (select message.contact_id::text from message where message.id = appended.subject_id) end,
        appended.session_id::text,
        '')
    from appended
    join webhook_endpoint endpoint on endpoint.company_id = appended.company_id and endpoint.is_enabled
    where case appended.type when 'webhook.test' then endpoint.id = appended.subject_id
      else endpoint.event_types is null or appended.type = any (endpoint.event_types) end
    order by appended.id
    returning webhook_delivery.endpoint_id
  )
  select string_agg(distinct endpoint_id::text, ' ') into due from added;
  if due is not null then
    raise info using errcode = 'FD001', message = 'webhook deliveries are due', detail = due;
  end if;
  return null;
end
$function$
;
CREATE OR REPLACE FUNCTION public.create_event_partitions(first_day date, last_day date)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  day date;
  partition_name text;
  created integer := 0;
begin
  for day in select first_day + n from generate_series(0, last_day - first_day) n loop
    partition_name := 'event_' || to_char(day, 'YYYYMMDD');
    continue when to_regclass(partition_name) is not null;
    execute format('create table %I (like event including defaults including constraints)', partition_name);
    execute format('alter table %I enable row level security', partition_name);
    lock table event_default in access exclusive mode;
    execute format(
      'with moved as (delete from event_default where created_at >= %L and created_at < %L returning *) insert into %I select * from moved',
      day || ' 00:00:00+00', (day + 1) || ' 00:00:00+00', partition_name);
    execute format(
      'alter table event attach partition %I for values from (%L) to (%L)',
      partition_name, day || ' 00:00:00+00', (day + 1) || ' 00:00:00+00');
    created := created + 1;
  end loop;
  return created;
end
$function$
;
CREATE OR REPLACE FUNCTION public.current_company()
 RETURNS uuid
 LANGUAGE sql
 STABLE
RETURN (NULLIF(current_setting('frontdesk.company'::text, true), ''::text))::uuid
;
CREATE OR REPLACE FUNCTION public.drop_event_partitions(before_day date)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  partition_name text;
  dropped integer := 0;
begin
  for partition_name in
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'event'::regclass and c.relname ~ '^event_[0-9]{8}$' and to_date(right(c.relname, 8), 'YYYYMMDD') < before_day
  loop
    execute format('drop table %I', partition_name);
    dropped := dropped + 1;
  end loop;
  delete from event_default where created_at < before_day::timestamp at time zone 'UTC';
  return dropped;
end
$function$
;
CREATE OR REPLACE FUNCTION public.follow_conversation()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  if tg_op = 'INSERT' or old.state <> new.state or old.state_since <> new.state_since then
    insert into event (company_id, type, session_id, subject_id, data)
    values (new.company_id, 'conversation.state_changed', new.session_id, new.id, jsonb_build_object(
      'contactId', new.contact_id, 'state', new.state, 'reason', new.reason, 'assignee', new.assignee,
      'returnsAt', to_char(new.returns_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')));
  end if;
  if tg_op = 'UPDATE'
    and (old.assignee, old.labels, old.responders) is distinct from (new.assignee, new.labels, new.responders) then
    insert into event (company_id, type, session_id, subject_id, data)
    values (new.company_id, 'conversation.updated', new.session_id, new.id,
      jsonb_build_object('contactId', new.contact_id));
  end if;
  if new.state = 'human' then
    with taken_back as (
      update message set status = 'failed', error_code = 'conversation_with_person', next_attempt_at = null,
        wait_reason = null
      where session_id = new.session_id and contact_id = new.contact_id and status = 'queued' and origin = 'responder'
      returning id
    )
    insert into event (company_id, type, session_id, subject_id, data)
    select new.company_id, 'message.status_changed', new.session_id, id,
      jsonb_build_object('status', 'failed', 'code', 'conversation_with_person')
    from taken_back order by id;
  end if;
  if new.state <> 'bot' then
    with left_alone as (
      update turn set state = 'unanswered', error_code = 'conversation_with_person', closed_at = now(), held_until = null
      where conversation_id = new.id and held_until is not null
      returning id
    ), traced as (
      insert into turn_trace (turn_id, company_id, trace)
      select id, new.company_id, jsonb_build_object('guard', 'conversation_with_person', 'steps', '[]'::jsonb,
        'usedFallback', false, 'handoff', null, 'waitedMs', 0, 'answeredMs', 0)
      from left_alone
    )
    insert into event (company_id, type, session_id, subject_id, data)
    select new.company_id, 'turn.closed', new.session_id, id, jsonb_build_object('contactId', new.contact_id,
      'state', 'unanswered', 'responder', null, 'code', 'conversation_with_person')
    from left_alone order by id;
  end if;
  if new.reason <> 'loop_suspected' then
    with over as (
      update alert set cleared_at = now() where conversation_id = new.id and cleared_at is null returning id, kind
    )
    insert into event (company_id, type, session_id, subject_id, data)
    select new.company_id, 'alert.cleared', new.session_id, id, jsonb_build_object('kind', kind) from over;
  end if;
  return null;
end
$function$
;
CREATE OR REPLACE FUNCTION public.require_current_master_key()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
declare
  master_key_check bytea;
begin
  select platform.master_key_check into master_key_check from platform for share;
  if sealed_key_number(new.data_key) <> sealed_key_number(master_key_check) then
    raise exception 'the data key of company % is not wrapped by the current master key', new.id
      using errcode = 'object_not_in_prerequisite_state';
  end if;
  return new;
end
$function$
;
CREATE OR REPLACE FUNCTION public.sealed_key_number(sealed bytea)
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
RETURN CASE get_byte(sealed, 0) WHEN 1 THEN 1 ELSE ((get_byte(sealed, 1) * 256) + get_byte(sealed, 2)) END
;
CREATE OR REPLACE FUNCTION public.take_over_conversation()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
declare
  ends_at timestamptz;
begin
  select least(coalesce(new.sent_at, new.created_at), now())
      + coalesce((settings #>> '{handoff,pauseMs}')::bigint, 1800000) * interval '1 millisecond'
    into ends_at from company where id = new.company_id;
  if ends_at <= now() then
    return null;
  end if;
  insert into conversation as known (id, company_id, session_id, contact_id, state, reason, returns_at, assignee)
  values (new.id, new.company_id, new.session_id, new.contact_id, 'human',
    case when new.agent is null then 'written_on_phone' else 'written_by_agent' end, ends_at, new.agent)
  on conflict (session_id, contact_id) do update set
    state = 'human',
    reason = case when known.state = 'human' then known.reason else excluded.reason end,
    detail = case when known.state = 'human' then known.detail end,
    state_since = case when known.state = 'human' then known.state_since else now() end,
    -- Nobody's pause is cut short, least of all one without an end.
    returns_at = case when known.state = 'human' and known.returns_at is null then null
      when known.state = 'human' then greatest(known.returns_at, excluded.returns_at) else excluded.returns_at end,
    assignee = coalesce(excluded.assignee, case when coalesce(known.returns_at > now(), true) then known.assignee end);
  return null;
end
$function$
;

CREATE TRIGGER company_data_key BEFORE INSERT OR UPDATE OF data_key ON public.company FOR EACH ROW EXECUTE FUNCTION require_current_master_key();
CREATE TRIGGER conversation_changed AFTER UPDATE ON public.conversation FOR EACH ROW WHEN ((((((old.state IS DISTINCT FROM new.state) OR (old.state_since IS DISTINCT FROM new.state_since)) OR (old.assignee IS DISTINCT FROM new.assignee)) OR (old.labels IS DISTINCT FROM new.labels)) OR (old.responders IS DISTINCT FROM new.responders))) EXECUTE FUNCTION follow_conversation();
CREATE TRIGGER conversation_made AFTER INSERT ON public.conversation FOR EACH ROW EXECUTE FUNCTION follow_conversation();
CREATE TRIGGER event_webhooks AFTER INSERT ON public.event REFERENCING NEW TABLE AS appended FOR EACH STATEMENT EXECUTE FUNCTION append_webhook_deliveries();
CREATE TRIGGER message_takes_over AFTER INSERT ON public.message FOR EACH ROW WHEN ((((new.agent IS NOT NULL) AND (new.status = 'queued'::text)) OR ((new.origin = 'phone'::text) AND (new.envelope <> '{}'::jsonb) AND ((new.content ->> 'whatsappType'::text) IS DISTINCT FROM 'reactionMessage'::text) AND ((new.content ->> 'whatsappType'::text) IS DISTINCT FROM 'protocolMessage'::text)))) EXECUTE FUNCTION take_over_conversation();

create role frontdesk_api nologin nosuperuser nobypassrls;
create role frontdesk_worker nologin nosuperuser nobypassrls;

alter table alert enable row level security;
alter table answer_usage enable row level security;
alter table api_key enable row level security;
alter table audit_entry enable row level security;
alter table bulk_operation enable row level security;
alter table company enable row level security;
alter table company_backup enable row level security;
alter table company_secret enable row level security;
alter table contact enable row level security;
alter table contact_alias enable row level security;
alter table conversation enable row level security;
alter table conversation_note enable row level security;
alter table event enable row level security;
alter table event_default enable row level security;
alter table journal enable row level security;
alter table linked_number enable row level security;
alter table linking_attempt enable row level security;
alter table message enable row level security;
alter table node enable row level security;
alter table platform enable row level security;
alter table retired_signal_key enable row level security;
alter table schema_migration enable row level security;
alter table sent_plaintext enable row level security;
alter table session enable row level security;
alter table session_activity enable row level security;
alter table session_command enable row level security;
alter table session_lease enable row level security;
alter table session_pace enable row level security;
alter table session_uptime enable row level security;
alter table signal_key enable row level security;
alter table turn enable row level security;
alter table turn_trace enable row level security;
alter table webhook_delivery enable row level security;
alter table webhook_endpoint enable row level security;

create policy company on alert for all to frontdesk_api using ((company_id = current_company())) with check ((company_id = current_company()));
create policy worker on alert for all to frontdesk_worker using (true) with check (true);
create policy company on answer_usage for all to frontdesk_api using ((company_id = current_company())) with check ((company_id = current_company()));
create policy worker on answer_usage for all to frontdesk_worker using (true) with check (true);
create policy company on api_key for all to frontdesk_api using ((company_id = current_company())) with check ((company_id = current_company()));
create policy worker on api_key for all to frontdesk_worker using (true) with check (true);
create policy company on audit_entry for all to frontdesk_api using ((company_id = current_company())) with check ((company_id = current_company()));
create policy worker on audit_entry for all to frontdesk_worker using (true) with check (true);
create policy company on bulk_operation for all to frontdesk_api using ((company_id = current_company())) with check ((company_id = current_company()));
create policy worker on bulk_operation for all to frontdesk_worker using (true) with check (true);
create policy company on company for all to frontdesk_api using ((id = current_company())) with check ((id = current_company()));
create policy worker on company for all to frontdesk_worker using (true) with check (true);
create policy worker on company_backup for all to frontdesk_worker using (true) with check (true);
create policy company on company_secret for all to frontdesk_api using ((company_id = current_company())) with check ((company_id = current_company()));
create policy worker on company_secret for all to frontdesk_worker using (true) with check (true);
create policy company on contact for all to frontdesk_api using ((company_id = current_company())) with check ((company_id = current_company()));
create policy worker on contact for all to frontdesk_worker using (true) with check (true);
create policy company on contact_alias for all to frontdesk_api using ((company_id = current_company())) with check ((company_id = current_company()));
create policy worker on contact_alias for all to frontdesk_worker using (true) with check (true);
create policy company on conversation for all to frontdesk_api using ((company_id = current_company())) with check ((company_id = current_company()));
create policy worker on conversation for all to frontdesk_worker using (true) with check (true);
create policy company on conversation_note for all to frontdesk_api using ((company_id = current_company())) with check ((company_id = current_company()));
create policy worker on conversation_note for all to frontdesk_worker using (true) with check (true);
create policy company on event for all to frontdesk_api using ((company_id = current_company())) with check ((company_id = current_company()));
create policy worker on event for all to frontdesk_worker using (true) with check (true);
create policy worker on journal for all to frontdesk_worker using (true) with check (true);
create policy worker on linked_number for all to frontdesk_worker using (true) with check (true);
create policy company on linking_attempt for all to frontdesk_api using ((company_id = current_company())) with check ((company_id = current_company()));
create policy worker on linking_attempt for all to frontdesk_worker using (true) with check (true);
create policy company on message for all to frontdesk_api using ((company_id = current_company())) with check ((company_id = current_company()));
create policy worker on message for all to frontdesk_worker using (true) with check (true);
create policy worker on node for all to frontdesk_worker using (true) with check (true);
create policy worker on platform for all to frontdesk_worker using (true) with check (true);
create policy worker on retired_signal_key for all to frontdesk_worker using (true) with check (true);
create policy worker on sent_plaintext for all to frontdesk_worker using (true) with check (true);
create policy company on session for all to frontdesk_api using ((company_id = current_company())) with check ((company_id = current_company()));
create policy worker on session for all to frontdesk_worker using (true) with check (true);
create policy company on session_activity for all to frontdesk_api using ((company_id = current_company())) with check ((company_id = current_company()));
create policy worker on session_activity for all to frontdesk_worker using (true) with check (true);
create policy company on session_command for all to frontdesk_api using ((company_id = current_company())) with check ((company_id = current_company()));
create policy worker on session_command for all to frontdesk_worker using (true) with check (true);
create policy worker on session_lease for all to frontdesk_worker using (true) with check (true);
create policy worker on session_pace for all to frontdesk_worker using (true) with check (true);
create policy company on session_uptime for all to frontdesk_api using ((company_id = current_company())) with check ((company_id = current_company()));
create policy worker on session_uptime for all to frontdesk_worker using (true) with check (true);
create policy worker on signal_key for all to frontdesk_worker using (true) with check (true);
create policy company on turn for all to frontdesk_api using ((company_id = current_company())) with check ((company_id = current_company()));
create policy worker on turn for all to frontdesk_worker using (true) with check (true);
create policy company on turn_trace for all to frontdesk_api using ((company_id = current_company())) with check ((company_id = current_company()));
create policy worker on turn_trace for all to frontdesk_worker using (true) with check (true);
create policy company on webhook_delivery for all to frontdesk_api using ((company_id = current_company())) with check ((company_id = current_company()));
create policy worker on webhook_delivery for all to frontdesk_worker using (true) with check (true);
create policy company on webhook_endpoint for all to frontdesk_api using ((company_id = current_company())) with check ((company_id = current_company()));
create policy worker on webhook_endpoint for all to frontdesk_worker using (true) with check (true);

grant select on alert to frontdesk_api;
grant delete, insert, select, update on alert to frontdesk_worker;
grant select on answer_usage to frontdesk_api;
grant delete, insert, select, update on answer_usage to frontdesk_worker;
grant insert, select, update on api_key to frontdesk_api;
grant delete, insert, select, update on api_key to frontdesk_worker;
grant insert, select on audit_entry to frontdesk_api;
grant insert, select on audit_entry to frontdesk_worker;
grant insert, select on bulk_operation to frontdesk_api;
grant delete, insert, select, update on bulk_operation to frontdesk_worker;
grant delete, insert, select, update on company to frontdesk_worker;
grant delete, insert, select, update on company_backup to frontdesk_worker;
grant delete on company_secret to frontdesk_api;
grant delete, insert, select, update on company_secret to frontdesk_worker;
grant insert, select, update on contact to frontdesk_api;
grant delete, insert, select, update on contact to frontdesk_worker;
grant insert, select, update on contact_alias to frontdesk_api;
grant delete, insert, select, update on contact_alias to frontdesk_worker;
grant select on conversation to frontdesk_api;
grant delete, insert, select, update on conversation to frontdesk_worker;
grant insert, select on conversation_note to frontdesk_api;
grant delete, insert, select, update on conversation_note to frontdesk_worker;
grant insert, select on event to frontdesk_api;
grant insert, select on event to frontdesk_worker;
grant delete, insert, select, update on journal to frontdesk_worker;
grant delete, insert, select, update on linked_number to frontdesk_worker;
grant insert, select on linking_attempt to frontdesk_api;
grant delete, insert, select, update on linking_attempt to frontdesk_worker;
grant select on message to frontdesk_api;
grant delete, insert, select, update on message to frontdesk_worker;
grant delete, insert, select, update on node to frontdesk_worker;
grant insert, select, update on platform to frontdesk_worker;
grant delete, insert, select, update on retired_signal_key to frontdesk_worker;
grant delete, insert, select, update on sent_plaintext to frontdesk_worker;
grant insert, select, update on session to frontdesk_api;
grant delete, insert, select, update on session to frontdesk_worker;
grant select on session_activity to frontdesk_api;
grant delete, insert, select, update on session_activity to frontdesk_worker;
grant insert, select on session_command to frontdesk_api;
grant delete, insert, select, update on session_command to frontdesk_worker;
grant delete, insert, select, update on session_lease to frontdesk_worker;
grant delete, insert, select, update on session_pace to frontdesk_worker;
grant select on session_uptime to frontdesk_api;
grant delete, insert, select, update on session_uptime to frontdesk_worker;
grant delete, insert, select, update on signal_key to frontdesk_worker;
grant select on turn to frontdesk_api;
grant delete, insert, select, update on turn to frontdesk_worker;
grant select on turn_trace to frontdesk_api;
grant delete, insert, select, update on turn_trace to frontdesk_worker;
grant select, update on webhook_delivery to frontdesk_api;
grant delete, insert, select, update on webhook_delivery to frontdesk_worker;
grant delete, insert, select, update on webhook_endpoint to frontdesk_api;
grant delete, insert, select, update on webhook_endpoint to frontdesk_worker;

grant select (id, name, settings, created_at) on company to frontdesk_api;
grant update (name, settings) on company to frontdesk_api;
grant select (company_id, name, hint, updated_at) on company_secret to frontdesk_api;

grant execute on function create_event_partitions(date,date) to frontdesk_worker;
grant execute on function current_company() to public;
grant execute on function drop_event_partitions(date) to frontdesk_worker;
grant execute on function follow_conversation() to public;
grant execute on function require_current_master_key() to public;
grant execute on function sealed_key_number(bytea) to public;
grant execute on function take_over_conversation() to public;
