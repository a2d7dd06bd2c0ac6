import { connect, connectionConfig } from '#src/storage/connection.ts'

/**
 * Notes which database connection writes what only a session's owner may write, and whose the session is at that moment. A
 * connection belongs to one process for its life: one that has written sessions of two nodes was stale for one of them.
 */
export async function watchWrites(url: string): Promise<void> {
  const client = await connect(connectionConfig(url))
  await client.query(`
    create table watched_write (connection integer, node_id uuid, primary key (connection, node_id));
    create function note_write() returns trigger language plpgsql security definer as $$
    begin
      insert into watched_write select pg_backend_pid(), node_id from session_lease
      where session_id = (to_jsonb(new) ->> tg_argv[0])::uuid
      on conflict do nothing;
      return null;
    end $$;
    create trigger note after insert or update on signal_key for each row
      execute function note_write('session_id');
    create trigger note after insert on message for each row when (new.direction = 'inbound')
      execute function note_write('session_id');
    create trigger note after update on session for each row when (new.state is distinct from old.state)
      execute function note_write('id');`)
  await client.end()
}

/** Connections that have written as owners, and those among them that have done it under another owner's lease. */
export async function readWatched(url: string): Promise<{ writers: number; stale: number }> {
  const client = await connect(connectionConfig(url))
  const { rows } = await client.query<{ writers: number; stale: number }>(`
    select count(*) as writers, count(*) filter (where nodes > 1) as stale
    from (select connection, count(*) as nodes from watched_write group by connection) as writer`)
  await client.end()
  return rows[0] ?? { writers: 0, stale: 0 }
}
