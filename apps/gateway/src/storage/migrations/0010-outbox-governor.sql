-- Outbound: where the company has asked for a moment, not before it. The chat's other messages do not wait for it.
alter table message add column send_at timestamptz;
-- Outbound: what is not sent by then is not sent any more.
alter table message add column expires_at timestamptz;
-- Why the next attempt is not made before next_attempt_at.
alter table message add column wait_reason text
  check (wait_reason in ('scheduled', 'retry', 'throttled', 'pace', 'warm_up', 'new_contacts'));
update message set expires_at = created_at + interval '24 hours' where status = 'queued';
update message set wait_reason = 'retry' where status = 'queued' and next_attempt_at is not null;
create index message_expiry on message (expires_at) where status = 'queued';
-- What comes next of that which waits for its time.
create index message_deferred on message (session_id, next_attempt_at) where status = 'queued' and next_attempt_at is not null;

-- Nothing is sent to a contact that does not want it.
alter table contact add column opted_out_at timestamptz;

-- Since when a company has a number linked: a session that is linked anew, or made anew, is not a new number.
create table linked_number (
  company_id uuid not null references company on delete cascade,
  phone text not null,
  linked_at timestamptz not null,
  primary key (company_id, phone)
);
insert into linked_number (company_id, phone, linked_at)
  select company_id, phone, min(coalesce(linked_at, created_at)) from session where phone is not null group by 1, 2;

-- What a session's pace depends on beyond its settings.
create table session_pace (
  session_id uuid primary key references session on delete cascade,
  company_id uuid not null references company on delete cascade,
  -- First messages to contacts never talked to, on this day of UTC.
  day date,
  new_contacts integer not null default 0,
  -- WhatsApp wanted fewer messages: the rate was halved so many times, last at this moment.
  halvings smallint not null default 0,
  throttled_at timestamptz
);
create index session_pace_company on session_pace (company_id);

do $$
declare
  table_name text;
begin
  foreach table_name in array array['linked_number', 'session_pace'] loop
    execute format('alter table %I enable row level security', table_name);
    execute format('create policy worker on %I to frontdesk_worker using (true) with check (true)', table_name);
    execute format('grant select, insert, update, delete on %I to frontdesk_worker', table_name);
  end loop;
end
$$;
