-- Identifiers are UUID v7, made by the application, so that a row is known before it is committed and ids sort by time.
-- Every table with company data carries company_id and row-level security; the policies stand at the end.

create table platform (
  only_row boolean primary key default true check (only_row),
  -- Which WhatsApp the sessions belong to. Fixed at the first start: a database never mixes emulated and real sessions.
  environment text not null check (environment in ('whatsapp', 'emulator')),
  -- A known text sealed with the master key: a wrong key is refused at start, before it can write anything.
  master_key_check bytea not null,
  created_at timestamptz not null default now()
);

create table company (
  id uuid primary key,
  name text not null,
  settings jsonb not null default '{}',
  -- The company's data key, wrapped by the master key.
  data_key bytea not null,
  created_at timestamptz not null default now()
);

create table api_key (
  id uuid primary key,
  -- Null for a platform key.
  company_id uuid references company on delete cascade,
  name text not null,
  -- SHA-256 of the key: it is 256 random bits, so a slow hash would add nothing.
  hash bytea not null unique,
  -- The key's first characters, for people to tell keys apart.
  hint text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz
);
create index api_key_company on api_key (company_id);

create table session (
  id uuid primary key,
  company_id uuid not null references company on delete cascade,
  name text not null,
  provider text not null check (provider in ('baileys')),
  -- What the company wants; state is what is.
  is_wanted boolean not null default false,
  state text not null default 'created' check (state in ('created', 'linking', 'connecting', 'online', 'reconnecting', 'paused', 'logged_out', 'banned', 'conflict', 'failed')),
  reason text,
  state_since timestamptz not null default now(),
  -- Set by the first link, cleared by a logout.
  linked_at timestamptz,
  phone text,
  lid text,
  created_at timestamptz not null default now(),
  unique (company_id, name)
);

create table node (
  id uuid primary key,
  incarnation bigint not null,
  seen_at timestamptz not null default now()
);

-- One row per session that ever ran. A write of an owner counts only while its epoch stands here.
create table session_lease (
  session_id uuid primary key references session on delete cascade,
  company_id uuid not null references company on delete cascade,
  node_id uuid not null,
  epoch bigint not null default 1
) with (fillfactor = 70);

-- Sealed with the company's data key. Kinds: KEY_KINDS in providers/provider.ts.
create table signal_key (
  session_id uuid not null references session on delete cascade,
  kind smallint not null,
  id text not null,
  value bytea not null,
  primary key (session_id, kind, id)
) with (fillfactor = 80);
-- Ciphertext does not compress.
alter table signal_key alter column value set storage external;

create table contact (
  id uuid primary key,
  company_id uuid not null references company on delete cascade,
  name text,
  -- Set when two contacts turned out to be one; the survivor is never merged itself.
  merged_into uuid references contact,
  created_at timestamptz not null default now()
);
create index contact_company on contact (company_id, id);

create table contact_alias (
  company_id uuid not null references company on delete cascade,
  kind text not null check (kind in ('phone', 'lid')),
  value text not null,
  contact_id uuid not null references contact on delete cascade,
  -- Of several addresses of a kind, the newest is the one in use.
  created_at timestamptz not null default now(),
  primary key (company_id, kind, value)
);
create index contact_alias_contact on contact_alias (contact_id);

create table turn (
  id uuid primary key,
  company_id uuid not null references company on delete cascade,
  session_id uuid not null references session on delete cascade,
  contact_id uuid not null references contact,
  state text not null default 'open' check (state in ('open', 'answered', 'unanswered')),
  responder text,
  -- Why the turn went unanswered or was answered by the fallback: a code of the error catalogue.
  error_code text,
  created_at timestamptz not null default now(),
  closed_at timestamptz
);
create index turn_open on turn (session_id, id) where state = 'open';

create table message (
  id uuid primary key,
  company_id uuid not null references company on delete cascade,
  session_id uuid not null references session on delete cascade,
  contact_id uuid not null references contact,
  direction text not null check (direction in ('inbound', 'outbound')),
  origin text not null check (origin in ('customer', 'api', 'responder', 'phone')),
  -- WhatsApp's id; an outbound one is generated before the first attempt, so that every attempt bears the same.
  whatsapp_id text not null,
  status text not null check (status in ('received', 'queued', 'sent', 'delivered', 'read', 'played', 'failed')),
  content jsonb not null,
  -- Inbound: the decrypted protobuf as it came and the attributes of its stanza. Content can be made from them again.
  raw bytea,
  envelope jsonb,
  ciphertext_hash bytea,
  -- The batch that an inbound message belongs to; the turn that an outbound answer comes from.
  turn_id uuid references turn,
  -- False for what must never be answered: own messages, history, offline backfill older than the limit.
  is_answerable boolean not null default false,
  idempotency_key text,
  request_hash bytea,
  attempts smallint not null default 0,
  next_attempt_at timestamptz,
  error_code text,
  created_at timestamptz not null default now(),
  sent_at timestamptz,
  delivered_at timestamptz,
  read_at timestamptz,
  -- A redelivery can come by another address of the same contact, hence the canonical contact. Receipts find their
  -- message by the leading columns.
  unique (session_id, direction, whatsapp_id, contact_id)
) with (fillfactor = 80);
create unique index message_idempotency on message (company_id, idempotency_key) where idempotency_key is not null;
create index message_ciphertext on message (session_id, ciphertext_hash) where ciphertext_hash is not null;
-- Finds the hashes that have outlived their use: as ids sort by time, the old ones come first.
create index message_ciphertext_age on message (id) where ciphertext_hash is not null;
create index message_chat on message (company_id, contact_id, id);
-- The API's list, newest first, costs a page and not the company's whole history.
create index message_company on message (company_id, id);
create index message_waiting on message (session_id, contact_id, id) where direction = 'inbound' and turn_id is null and is_answerable;
create index message_turn on message (turn_id) where turn_id is not null;
create index message_queued on message (session_id, id) where status = 'queued';

-- Ciphertexts that made no message. Sealed: they may carry app-state keys.
create table journal (
  session_id uuid not null references session on delete cascade,
  ciphertext_hash bytea not null,
  plaintext bytea not null,
  created_at timestamptz not null default now(),
  primary key (session_id, ciphertext_hash)
);
create index journal_age on journal using brin (created_at);

-- Ids and states, never bodies. Identity order is not commit order: readers go by (transaction, id) and stop at the
-- oldest transaction still running, so that no event is overtaken.
create table event (
  id bigint generated always as identity,
  transaction xid8 not null default pg_current_xact_id(),
  company_id uuid not null,
  type text not null,
  session_id uuid,
  subject_id uuid,
  data jsonb not null default '{}',
  created_at timestamptz not null default now()
) partition by range (created_at);
create index event_feed on event (company_id, transaction, id);
-- What no day's partition takes, because none was made in time.
create table event_default partition of event default;

create table audit_entry (
  id bigint generated always as identity primary key,
  company_id uuid,
  -- Who: an API key's id, or null for the command line.
  api_key_id uuid,
  action text not null,
  subject_id uuid,
  detail jsonb not null default '{}',
  created_at timestamptz not null default now()
);
create index audit_company on audit_entry (company_id, id);

-- Roles. The API sees one company per transaction; the worker (session hosts, claimers) sees all. Neither owns a table.
do $$
begin
  if not exists (select from pg_roles where rolname = 'frontdesk_api') then
    create role frontdesk_api nologin nosuperuser nobypassrls;
  end if;
  if not exists (select from pg_roles where rolname = 'frontdesk_worker') then
    create role frontdesk_worker nologin nosuperuser nobypassrls;
  end if;
  -- Whoever owns the database may have been given the roles by somebody who may do so.
  if not (pg_has_role(current_user, 'frontdesk_api', 'member') and pg_has_role(current_user, 'frontdesk_worker', 'member')) then
    execute format('grant frontdesk_api, frontdesk_worker to %I', current_user);
  end if;
  execute format('grant usage on schema %I to frontdesk_api, frontdesk_worker', current_schema());
end
$$;

create function current_company() returns uuid language sql stable
  return nullif(current_setting('frontdesk.company', true), '')::uuid;

-- Every table has row-level security, so that a role that the database's host has given rights on everything sees nothing.
do $$
declare
  table_name text;
begin
  foreach table_name in array array['platform', 'company', 'api_key', 'session', 'node', 'session_lease', 'signal_key', 'contact', 'contact_alias', 'turn', 'message', 'journal', 'event', 'audit_entry'] loop
    execute format('alter table %I enable row level security', table_name);
    execute format('create policy worker on %I to frontdesk_worker using (true) with check (true)', table_name);
  end loop;
  foreach table_name in array array['company', 'api_key', 'session', 'contact', 'contact_alias', 'turn', 'message', 'event', 'audit_entry'] loop
    execute format(
      'create policy company on %I to frontdesk_api using (%I = current_company()) with check (%I = current_company())',
      table_name,
      case table_name when 'company' then 'id' else 'company_id' end,
      case table_name when 'company' then 'id' else 'company_id' end);
  end loop;
end
$$;
alter table event_default enable row level security;

grant select, insert on platform to frontdesk_worker;
grant select, insert, update, delete on company, api_key, session, node, session_lease, signal_key, contact, contact_alias, turn, message, journal to frontdesk_worker;
grant select, insert on event, audit_entry to frontdesk_worker;

-- The API never reads keys, leases or journals, and never the wrapped data key.
grant select (id, name, settings, created_at), update (name, settings) on company to frontdesk_api;
grant select, insert, update on api_key, session, contact, contact_alias to frontdesk_api;
grant select on turn, message, event, audit_entry to frontdesk_api;
grant insert on event, audit_entry to frontdesk_api;

-- Partitions belong to the owner of the tables; the worker has them made and dropped through these functions. Days are
-- days of UTC. Rows that the default partition took meanwhile move into the new one.
create function create_event_partitions(first_day date, last_day date) returns integer
  language plpgsql security definer as $$
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
$$;

create function drop_event_partitions(before_day date) returns integer
  language plpgsql security definer as $$
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
$$;

-- They run with the owner's rights: no table of the caller's may stand in for ours.
do $$
begin
  execute format('alter function create_event_partitions set search_path = %I, pg_temp', current_schema());
  execute format('alter function drop_event_partitions set search_path = %I, pg_temp', current_schema());
end
$$;
revoke all on function create_event_partitions, drop_event_partitions from public;
grant execute on function create_event_partitions, drop_event_partitions to frontdesk_worker;
