-- Version of WhatsApp Web that sessions announce, set while the platform runs; a company's and a session's own go first.
alter table platform add column wa_version text;

-- Null: as the settings say. What a person asks for goes first.
alter table session alter column linking_method drop not null, alter column linking_method drop default;
update session set linking_method = null;

-- One request for many sessions. It is worked off in small steps by any process, each step one transaction.
create table bulk_operation (
  id uuid primary key,
  -- Null when the operator has asked for it, for sessions of any company.
  company_id uuid references company on delete cascade,
  -- Who asked; null at the command line.
  api_key_id uuid,
  action text not null check (action in ('start', 'pause', 'restart', 'logout', 'delete')),
  -- In the order in which they are told; the first `done` + `failed` of them have been.
  session_ids uuid[] not null,
  done integer not null default 0,
  failed integer not null default 0,
  -- The first of those that failed, each with an error's code.
  failures jsonb not null default '[]',
  created_at timestamptz not null default now(),
  -- When the last step was taken: the operation that has waited longest comes next.
  stepped_at timestamptz not null default now(),
  finished_at timestamptz
);
create index bulk_operation_open on bulk_operation (stepped_at) where finished_at is null;
create index bulk_operation_company on bulk_operation (company_id);
create index bulk_operation_age on bulk_operation (created_at);

alter table bulk_operation enable row level security;
create policy worker on bulk_operation for all to frontdesk_worker using (true) with check (true);
create policy company on bulk_operation for all to frontdesk_api
  using (company_id = current_company()) with check (company_id = current_company());
grant select, insert, update, delete on bulk_operation to frontdesk_worker;
grant select, insert on bulk_operation to frontdesk_api;

-- Removing a session that was deleted long ago.
create index session_deleted on session (deleted_at) where deleted_at is not null;
create index turn_session on turn (session_id);
