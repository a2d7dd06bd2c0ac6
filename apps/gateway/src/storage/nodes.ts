import { type Kysely, sql } from 'kysely'
import type { Schema } from './schema-types.ts'

/** Unseen for so long, a node is dead and what it owns is free. Milliseconds of the database's clock, no machine's. */
export const NODE_TTL_MS = 5000

/** One life of a process that owns sessions. A lease counts as long as the life that it was claimed in lasts. */
export interface NodeLife {
  readonly nodeId: string
  readonly incarnation: number
}

/** Begins the node's next life: what it owned in former ones is free. */
export async function beginLife(db: Kysely<Schema>, nodeId: string): Promise<NodeLife> {
  const { rows } = await sql<{ incarnation: number }>`
    insert into node (id, incarnation) values (${nodeId}, 1)
    on conflict (id) do update set
      incarnation = node.incarnation + 1,
      started_at = now(),
      seen_at = now(),
      former_seen_at = case when isfinite(node.seen_at) then node.seen_at else node.former_seen_at end
    returning incarnation`.execute(db)
  const [row] = rows
  if (row === undefined) throw new Error('the node has not been stored')
  return { nodeId, incarnation: row.incarnation }
}

/** Ends this life, if it still lasts: its sessions are free at once. */
export async function endLife(db: Kysely<Schema>, { nodeId, incarnation }: NodeLife): Promise<void> {
  await sql`
    update node set incarnation = incarnation + 1, former_seen_at = seen_at, seen_at = '-infinity'
    where id = ${nodeId} and incarnation = ${incarnation}`.execute(db)
}
