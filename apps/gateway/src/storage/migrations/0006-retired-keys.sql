-- Keys of sessions that were logged out, sealed as they were: should a logout turn out to be a mistake of WhatsApp's or
-- ours, they are there for a while. See storage/retention.ts.
create table retired_signal_key (
  session_id uuid not null references session on delete cascade,
  kind smallint not null,
  id text not null,
  value bytea not null,
  retired_at timestamptz not null,
  primary key (session_id, kind, id)
);
-- Ciphertext does not compress.
alter table retired_signal_key alter column value set storage external;
create index retired_signal_key_age on retired_signal_key (retired_at);
alter table retired_signal_key enable row level security;
create policy worker on retired_signal_key to frontdesk_worker using (true) with check (true);
grant select, insert, update, delete on retired_signal_key to frontdesk_worker;
