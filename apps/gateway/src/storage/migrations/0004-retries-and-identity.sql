-- What was sent, as it was encrypted: a device that could not read it asks for the very same again. Sealed. The counts
-- stand beside it, so that neither a restart nor a new owner begins to count anew.
create table sent_plaintext (
  session_id uuid not null references session on delete cascade,
  whatsapp_id text not null,
  -- The JID that it was sent to. Nobody else gets it, except for the account's own devices.
  recipient text not null,
  plaintext bytea not null,
  -- How often each device has asked for it.
  requests jsonb not null default '{}',
  created_at timestamptz not null default now(),
  primary key (session_id, whatsapp_id)
);
-- Sealed bytes do not compress.
alter table sent_plaintext alter column plaintext set storage external;
create index sent_plaintext_age on sent_plaintext using brin (created_at);
alter table sent_plaintext enable row level security;
create policy worker on sent_plaintext to frontdesk_worker using (true) with check (true);
grant select, insert, update, delete on sent_plaintext to frontdesk_worker;

-- Messages that could not be read and may still come.
create index message_pending on message (session_id, id)
  where content->>'kind' = 'pending' and content->>'reason' in ('undecrypted', 'unavailable');
