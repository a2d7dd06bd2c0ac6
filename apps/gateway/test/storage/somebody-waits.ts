import type { Client } from 'pg'

/** Whether a statement in this client's database waits for a lock of another one. */
export async function somebodyWaits(client: Client): Promise<boolean> {
  const { rowCount } = await client.query(
    `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
  )
  return rowCount === 1
}
