-- Where a company wants its events posted to.
create table webhook_endpoint (
  id uuid primary key,
  company_id uuid not null references company on delete cascade,
  url text not null,
  -- Null for all.
  event_types text[],
  -- chat: the events of a chat one after the other; none: as they come.
  ordering text not null check (ordering in ('none', 'chat')),
  is_enabled boolean not null default true,
  -- Sealed JSON: the signing secrets, and the custom headers, whose values are often tokens.
  secrets bytea not null,
  -- Failed attempts since the last one that succeeded, and until when nothing is sent because of them.
  failures integer not null default 0,
  paused_until timestamptz,
  created_at timestamptz not null default now()
);
create index webhook_endpoint_company on webhook_endpoint (company_id, id);

-- An event on its way to an endpoint. It refers to both without a foreign key: it is written with every event, outlives
-- its endpoint as a record, and is removed by age.
create table webhook_delivery (
  id bigint generated always as identity primary key,
  company_id uuid not null,
  endpoint_id uuid not null,
  event_id bigint not null,
  event_transaction xid8 not null,
  event_at timestamptz not null,
  event_type text not null,
  -- What is kept in order where order is asked for: a chat, else a session.
  lane text not null,
  state text not null default 'waiting' check (state in ('waiting', 'delivered', 'dead')),
  -- Also the end of a claim: a process that has claimed it and is gone is not waited for any longer.
  next_attempt_at timestamptz not null default now(),
  give_up_at timestamptz not null default now() + interval '24 hours',
  -- Counts the claims; the outcome of an attempt counts only while its own claim is the last.
  claim integer not null default 0,
  attempts integer not null default 0,
  -- The newest attempts, each with moment, duration, status, error and the beginning of the answer.
  attempt_log jsonb not null default '[]',
  created_at timestamptz not null default now(),
  finished_at timestamptz
) with (fillfactor = 80);
create index webhook_delivery_due on webhook_delivery (endpoint_id, next_attempt_at, id) where state = 'waiting';
create index webhook_delivery_lane on webhook_delivery (endpoint_id, lane, id) where state = 'waiting';
create index webhook_delivery_company on webhook_delivery (company_id, id);
create index webhook_delivery_age on webhook_delivery using brin (created_at);

-- Each event becomes a delivery for each endpoint that wants it, in the statement that appends it, whoever appends it.
-- Processes that deliver hear of it with the commit.
create function append_webhook_deliveries() returns trigger language plpgsql security definer as $$
declare
  told uuid;
begin
  -- What this costs a company without endpoints.
  if not exists (
    select from appended join webhook_endpoint endpoint on endpoint.company_id = appended.company_id and endpoint.is_enabled
  ) then
    return null;
  end if;
  for told in
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
    select distinct added.endpoint_id from added
  loop
    -- As a sender of its own: the process whose statement this is hears it, too.
    perform pg_notify('frontdesk', 'database webhook:' || told);
  end loop;
  return null;
end
$$;
do $$
begin
  execute format('alter function append_webhook_deliveries set search_path = %I, pg_temp', current_schema());
end
$$;
revoke all on function append_webhook_deliveries from public;
create trigger event_webhooks after insert on event referencing new table as appended
  for each statement execute function append_webhook_deliveries();

-- An alert can be about an endpoint. One that is deleted leaves its alerts behind.
alter table alert add column endpoint_id uuid;
drop index alert_raised;
create unique index alert_raised on alert (kind, company_id, session_id, endpoint_id) nulls not distinct
  where cleared_at is null;

alter table webhook_endpoint enable row level security;
alter table webhook_delivery enable row level security;
create policy worker on webhook_endpoint for all to frontdesk_worker using (true) with check (true);
create policy worker on webhook_delivery for all to frontdesk_worker using (true) with check (true);
create policy company on webhook_endpoint for all to frontdesk_api
  using (company_id = current_company()) with check (company_id = current_company());
create policy company on webhook_delivery for all to frontdesk_api
  using (company_id = current_company()) with check (company_id = current_company());
grant select, insert, update, delete on webhook_endpoint, webhook_delivery to frontdesk_worker;
grant select, insert, update, delete on webhook_endpoint to frontdesk_api;
grant select, update on webhook_delivery to frontdesk_api;
