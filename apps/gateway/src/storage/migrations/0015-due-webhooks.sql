-- A statement that brings deliveries tells the process that runs it, by a message of the severity that every client gets;
-- the process passes it on after the commit, see storage/due-webhooks.ts. A notification from here would be part of the
-- commit: Postgres takes those of a whole server one after the other, each with its write to disk.
create or replace function append_webhook_deliveries() returns trigger language plpgsql security definer as $$
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
$$;
do $$
begin
  execute format('alter function append_webhook_deliveries set search_path = %I, pg_temp', current_schema());
end
$$;
