-- What the company wants of a session. Its owner makes it so, and says in `state` how far it has come.
alter table session add column desired text not null default 'stopped'
  check (desired in ('stopped', 'running', 'logged_out', 'deleted'));
update session set desired = 'running' where is_wanted;
alter table session
  drop column is_wanted,
  -- How the session differs from its company's and the deployment's settings.
  add column settings jsonb not null default '{}',
  -- The URL, sealed: it can hold a password.
  add column proxy bytea,
  -- When the owner tries again; null when nothing is planned.
  add column next_attempt_at timestamptz,
  -- Attempts since the last good connection.
  add column attempts integer not null default 0,
  -- How to link: by QR code, or by a code that is typed on the phone of `linking_phone`.
  add column linking_method text not null default 'qr' check (linking_method in ('qr', 'pairing_code')),
  add column linking_phone text,
  -- What is to be scanned or typed now, sealed: a QR code holds a secret of the link.
  add column linking_code bytea,
  add column linking_code_expires_at timestamptz,
  -- When the company has deleted it. Its messages are kept for a while; see services/maintenance.
  add column deleted_at timestamptz;

-- A name is free again when its session is deleted.
alter table session drop constraint session_company_id_name_key;
create unique index session_name on session (company_id, name) where deleted_at is null;
create index session_desired on session (desired, id) where deleted_at is null;
-- One session of the platform holds a number.
create unique index session_phone on session (phone) where linked_at is not null and deleted_at is null;

-- A process that owns sessions. The incarnation grows when the process begins anew, and when it is declared dead: what
-- an earlier incarnation owns is free.
alter table node add column started_at timestamptz not null default now();
alter table session_lease add column node_incarnation bigint not null default 0;
create index session_lease_node on session_lease (node_id, node_incarnation);

-- What the API asks of a session's owner beyond its desired state, and the owner's answer.
create table session_command (
  id uuid primary key,
  company_id uuid not null references company on delete cascade,
  session_id uuid not null references session on delete cascade,
  kind text not null,
  parameters jsonb not null default '{}',
  state text not null default 'waiting' check (state in ('waiting', 'done', 'failed')),
  error_code text,
  created_at timestamptz not null default now(),
  done_at timestamptz
);
create index session_command_waiting on session_command (session_id, id) where state = 'waiting';
create index session_command_age on session_command (created_at);

-- What changes too often for the session's row. Written in batches, a few seconds late.
create table session_activity (
  session_id uuid primary key references session on delete cascade,
  company_id uuid not null references company on delete cascade,
  last_inbound_at timestamptz,
  last_outbound_at timestamptz,
  phone_seen_at timestamptz
) with (fillfactor = 50);

-- How long a session was online on each day of UTC, out of how long it was meant to be.
create table session_uptime (
  session_id uuid not null references session on delete cascade,
  company_id uuid not null references company on delete cascade,
  day date not null,
  online_ms bigint not null default 0,
  meant_ms bigint not null default 0,
  primary key (session_id, day)
) with (fillfactor = 50);

-- Each attempt to link counts against the company's limit.
create table linking_attempt (
  id bigint generated always as identity primary key,
  company_id uuid not null references company on delete cascade,
  session_id uuid not null references session on delete cascade,
  created_at timestamptz not null default now()
);
create index linking_attempt_company on linking_attempt (company_id, created_at);
create index linking_attempt_session on linking_attempt (session_id);

-- What is wrong now, once for each subject, and what was. Without a company it is the operator's.
create table alert (
  id uuid primary key,
  company_id uuid references company on delete cascade,
  session_id uuid references session on delete cascade,
  kind text not null,
  detail jsonb not null default '{}',
  raised_at timestamptz not null default now(),
  cleared_at timestamptz
);
create unique index alert_raised on alert (kind, company_id, session_id) nulls not distinct where cleared_at is null;
create index alert_company on alert (company_id, id);
create index alert_session on alert (session_id) where session_id is not null;

alter table session_command enable row level security;
alter table session_activity enable row level security;
alter table session_uptime enable row level security;
alter table linking_attempt enable row level security;
alter table alert enable row level security;
create policy worker on session_command for all to frontdesk_worker using (true) with check (true);
create policy worker on session_activity for all to frontdesk_worker using (true) with check (true);
create policy worker on session_uptime for all to frontdesk_worker using (true) with check (true);
create policy worker on linking_attempt for all to frontdesk_worker using (true) with check (true);
create policy worker on alert for all to frontdesk_worker using (true) with check (true);
create policy company on session_command for all to frontdesk_api
  using (company_id = current_company()) with check (company_id = current_company());
create policy company on session_activity for all to frontdesk_api
  using (company_id = current_company()) with check (company_id = current_company());
create policy company on session_uptime for all to frontdesk_api
  using (company_id = current_company()) with check (company_id = current_company());
create policy company on linking_attempt for all to frontdesk_api
  using (company_id = current_company()) with check (company_id = current_company());
create policy company on alert for all to frontdesk_api
  using (company_id = current_company()) with check (company_id = current_company());
grant select, insert, update, delete on session_command, session_activity, session_uptime, linking_attempt, alert
  to frontdesk_worker;
grant select on session_activity, session_uptime, alert to frontdesk_api;
grant select, insert on session_command, linking_attempt to frontdesk_api;
