-- Which key has sealed a value: `keyNumberOf` of model/sealing.ts.
create function sealed_key_number(sealed bytea) returns integer language sql immutable strict parallel safe
  return case get_byte(sealed, 0) when 1 then 1 else get_byte(sealed, 1) * 256 + get_byte(sealed, 2) end;

-- Rotation of the master key: the former one still opens this database for a while, so that processes that run, and
-- those that start before their setting was changed, go on working.
alter table platform
  add column former_master_key_check bytea,
  add column master_key_since timestamptz not null default now(),
  -- Grows with every change of any data key: who remembers data keys looks at it now and then.
  add column data_key_version bigint not null default 0;
grant update on platform to frontdesk_worker;

-- Rotation of the data keys. `data_key` holds all keys of the company that are in use, the current one last.
alter table company
  -- The same, wrapped by the former master key.
  add column former_data_key bytea,
  add column data_key_number integer not null default 1,
  add column data_key_since timestamptz not null default now(),
  -- The platform's version at the last change.
  add column data_key_version bigint not null default 0,
  -- Whether older keys than the current one are there: some value may be sealed with them (resealing), or none was
  -- found any more (resealed) and they are only kept for whoever is late.
  add column data_key_rotation text not null default 'none' check (data_key_rotation in ('none', 'resealing', 'resealed'));

-- A data key wrapped by a former master key would be lost with it. A rotation under way is waited for.
create function require_current_master_key() returns trigger language plpgsql as $$
declare
  master_key_check bytea;
begin
  select platform.master_key_check into master_key_check from platform for share;
  if sealed_key_number(new.data_key) <> sealed_key_number(master_key_check) then
    raise exception 'the data key of company % is not wrapped by the current master key', new.id
      using errcode = 'object_not_in_prerequisite_state';
  end if;
  return new;
end
$$;
create trigger company_data_key before insert or update of data_key on company
  for each row execute function require_current_master_key();

-- When each company's backup was last begun by a process, and when one was last finished.
create table company_backup (
  company_id uuid primary key references company on delete cascade,
  begun_at timestamptz not null,
  finished_at timestamptz,
  -- Failures since the last one that was finished.
  failures integer not null default 0
);
alter table company_backup enable row level security;
create policy worker on company_backup for all to frontdesk_worker using (true) with check (true);
grant select, insert, update, delete on company_backup to frontdesk_worker;
