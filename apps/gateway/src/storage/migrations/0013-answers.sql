-- Who answers in the chat of a session with a contact. It begins with the first turn, or with the first message that a
-- person writes in it.
create table conversation (
  id uuid primary key,
  company_id uuid not null references company on delete cascade,
  session_id uuid not null references session on delete cascade,
  contact_id uuid not null references contact,
  state text not null default 'bot' check (state in ('bot', 'waiting', 'human', 'closed')),
  reason text not null default 'customer_wrote',
  -- What a responder has said about its reason to hand over.
  detail text,
  state_since timestamptz not null default now(),
  -- When it goes back to the bot by itself.
  returns_at timestamptz,
  assignee text,
  labels text[] not null default '{}',
  -- In place of the company's.
  responders jsonb,
  -- The bot's, since the conversation was opened.
  turns integer not null default 0,
  cost_micros bigint not null default 0,
  created_at timestamptz not null default now(),
  unique (session_id, contact_id)
) with (fillfactor = 80);
create index conversation_company on conversation (company_id, id);
create index conversation_contact on conversation (contact_id);
create index conversation_with_people on conversation (company_id, state, id) where state in ('waiting', 'human');
create index conversation_return on conversation (returns_at) where returns_at is not null;

create table conversation_note (
  id uuid primary key,
  company_id uuid not null references company on delete cascade,
  conversation_id uuid not null references conversation on delete cascade,
  author text,
  text text not null,
  created_at timestamptz not null default now()
);
create index conversation_note_conversation on conversation_note (conversation_id, id);
create index conversation_note_company on conversation_note (company_id);

alter table turn add column conversation_id uuid references conversation on delete set null;
create index turn_conversation on turn (conversation_id) where conversation_id is not null;
create index turn_company on turn (company_id, id);
-- The end of the quiet hours that the turn waits for.
alter table turn add column held_until timestamptz;

-- What happened in a turn, for people who ask why. Without the messages themselves, but with the arguments of tools.
create table turn_trace (
  turn_id uuid primary key references turn on delete cascade,
  company_id uuid not null references company on delete cascade,
  trace jsonb not null,
  created_at timestamptz not null default now()
);
create index turn_trace_age on turn_trace using brin (created_at);
create index turn_trace_company on turn_trace (company_id);

-- What the answers of a day (of UTC) have cost.
create table answer_usage (
  company_id uuid not null references company on delete cascade,
  day date not null,
  turns integer not null default 0,
  input_tokens bigint not null default 0,
  output_tokens bigint not null default 0,
  cost_micros bigint not null default 0,
  primary key (company_id, day)
) with (fillfactor = 80);

-- What settings refer to by name. Sealed with the company's data key.
create table company_secret (
  company_id uuid not null references company on delete cascade,
  name text not null,
  value bytea not null,
  hint text not null,
  updated_at timestamptz not null default now(),
  primary key (company_id, name)
);
alter table company_secret alter column value set storage external;

-- Outbound: for how long the customer sees somebody typing before it; the session's setting decides where it is null.
alter table message add column typing_ms integer;

-- One responder has become a chain of them, and what each said when it knew no answer is said in the end.
update company set settings = settings - 'responder'
  || jsonb_build_object('responders', jsonb_build_array((settings->'responder') - 'fallback'))
  || case when settings->'responder' ? 'fallback' then jsonb_build_object('fallback', settings->'responder'->'fallback') else '{}' end
  where settings ? 'responder';

do $$
declare
  table_name text;
begin
  foreach table_name in array array['conversation', 'conversation_note', 'turn_trace', 'answer_usage', 'company_secret'] loop
    execute format('alter table %I enable row level security', table_name);
    execute format('create policy worker on %I to frontdesk_worker using (true) with check (true)', table_name);
    execute format('create policy company on %I to frontdesk_api using (company_id = current_company()) with check (company_id = current_company())', table_name);
    execute format('grant select, insert, update, delete on %I to frontdesk_worker', table_name);
  end loop;
end
$$;
grant select on conversation, conversation_note, turn_trace, answer_usage to frontdesk_api;
grant insert on conversation_note to frontdesk_api;
grant update (assignee, labels, responders) on conversation to frontdesk_api;
grant select (company_id, name, hint, updated_at) on company_secret to frontdesk_api;
grant delete on company_secret to frontdesk_api;
