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
  unique (session_id, contact_id),
  check (returns_at is null or state in ('waiting', 'human'))
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
-- The end of the quiet hours that the turn waits for. Of an open one only.
alter table turn add column held_until timestamptz;
create index turn_held on turn (session_id, contact_id, held_until) where held_until is not null;

-- What happened in a turn, for people who ask why. Without the messages themselves, but with the arguments of tools.
create table turn_trace (
  turn_id uuid primary key references turn on delete cascade,
  company_id uuid not null references company on delete cascade,
  trace jsonb not null,
  created_at timestamptz not null default now()
);
create index turn_trace_age on turn_trace using brin (created_at);
create index turn_trace_company on turn_trace (company_id);

-- What the answers of language models have cost on a day (of UTC).
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

-- Outbound, of the API: the person who writes.
alter table message add column agent text;

-- An alert can be about a conversation, and goes with it.
alter table alert add column conversation_id uuid references conversation on delete cascade;
create index alert_conversation on alert (conversation_id) where conversation_id is not null;
drop index alert_raised;
create unique index alert_raised on alert (kind, company_id, session_id, endpoint_id, conversation_id) nulls not distinct
  where cleared_at is null;

-- A person has written: the conversation is theirs, in the commit of the message. For other messages this costs nothing.
create function take_over_conversation() returns trigger language plpgsql as $$
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
$$;
-- What the phone tells of the time before it was linked has come in no stanza of its own: its envelope is empty.
create trigger message_takes_over after insert on message for each row
  when (new.agent is not null and new.status = 'queued' or new.origin = 'phone' and new.envelope <> '{}'
    and new.content->>'whatsappType' is distinct from 'reactionMessage'
    and new.content->>'whatsappType' is distinct from 'protocolMessage')
  execute function take_over_conversation();

-- What follows from a conversation's change, whoever makes it: the events, that nothing of the bot goes out any more when
-- a person writes, and that the alert about it is over.
create function follow_conversation() returns trigger language plpgsql as $$
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
$$;
create trigger conversation_made after insert on conversation for each row execute function follow_conversation();
create trigger conversation_changed after update on conversation for each row
  when ((old.state, old.state_since, old.assignee, old.labels, old.responders)
    is distinct from (new.state, new.state_since, new.assignee, new.labels, new.responders))
  execute function follow_conversation();

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
grant select (company_id, name, hint, updated_at) on company_secret to frontdesk_api;
grant delete on company_secret to frontdesk_api;
