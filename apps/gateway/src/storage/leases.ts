import { sql, type Transaction } from 'kysely'
import type { Database, WorkerDatabase } from './database.ts'
import type { NodeLife } from './nodes.ts'
import type { Schema } from './schema-types.ts'
import type { SessionRow } from './sessions.ts'

/** The right to own a session: to open its connection and to write what it does. The epoch grows with every claim. */
export interface Lease {
  readonly sessionId: string
  readonly companyId: string
  readonly nodeId: string
  readonly epoch: number
}

/** Another owner has claimed the session: this one must close its sockets and write nothing more. */
export class LeaseLostError extends Error {
  readonly sessionId: string
  constructor(lease: Lease) {
    super(`the lease of session ${lease.sessionId} with epoch ${lease.epoch} has been taken over`)
    this.name = 'LeaseLostError'
    this.sessionId = lease.sessionId
  }
}

/** A session that this process owns from now on. */
export interface Claim {
  session: SessionRow
  lease: Lease
  /** When an owner that has died was last seen: the session was not online after that. */
  ownerSeenAt: Date | null
}

/** Sessions whose owner has something to do: they are not what they are meant to be, or are meant to run. */
const isWanted = sql<boolean>`(session.deleted_at is null and case session.desired
  when 'running' then true
  when 'stopped' then session.state in ('linking', 'connecting', 'online', 'reconnecting')
  when 'logged_out' then session.state not in ('created', 'logged_out')
  when 'deleted' then true
end)`

/** With the node that owns the session; without one when nobody does. */
const withOwner = sql`session
  left join session_lease lease on lease.session_id = session.id
  left join node owner on owner.id = lease.node_id and owner.incarnation = lease.node_incarnation`

/** How the sessions stand that are wanted, and who could own them. */
export interface Ownership {
  /** Nodes that live. */
  nodes: number
  wanted: number
  /** Of these, those that nobody owns. */
  free: number
}

export async function readOwnership(database: Database): Promise<Ownership> {
  const { rows } = await sql<Ownership>`
    select count(*) as wanted, count(*) filter (where owner.id is null) as free,
      (select count(*) from node where isfinite(seen_at)) as nodes
    from ${withOwner} where ${isWanted}`.execute(database.worker)
  return rows[0] ?? { nodes: 0, wanted: 0, free: 0 }
}

/**
 * Claims up to `limit` sessions that are wanted and that nobody owns, `among` these where given: first those in which
 * messages wait, then those that this node has owned before. A commit of a former owner that is under way is waited for;
 * every later one is refused.
 */
export async function claimSessions(
  database: Database,
  { nodeId, incarnation }: NodeLife,
  { limit, among }: { limit: number; among?: readonly string[] },
): Promise<Claim[]> {
  const isAmong = among === undefined ? sql`true` : sql`session.id = any(${among}::uuid[])`
  // The epoch is compared once more at the insert: the lease may have been claimed since the statement began.
  const { rows } = await sql<SessionRow & { lease_epoch: number; owner_seen_at: Date | null }>`
    with candidate as materialized (
      select session.id, session.company_id, coalesce(lease.epoch, 0) + 1 as epoch, (
          select former_seen_at from node where node.id = lease.node_id and lease.node_incarnation > 0
        ) as owner_seen_at
      from ${withOwner}
      where ${isWanted} and owner.id is null and ${isAmong}
        and exists (select from node where id = ${nodeId} and incarnation = ${incarnation})
      order by (
          exists (select from message where session_id = session.id and status = 'queued')
          or exists (
            select from message
            where session_id = session.id and direction = 'inbound' and turn_id is null and is_answerable
          )
          or exists (select from turn where session_id = session.id and state = 'open')
        ) desc, lease.node_id is not distinct from ${nodeId} desc, session.id
      limit ${limit}
      for no key update of session skip locked
    ), claimed as (
      insert into session_lease as lease (session_id, company_id, node_id, node_incarnation, epoch)
      select id, company_id, ${nodeId}, ${incarnation}, epoch from candidate
      on conflict (session_id) do update set
        node_id = excluded.node_id, node_incarnation = excluded.node_incarnation, epoch = excluded.epoch
        where lease.epoch = excluded.epoch - 1
      returning session_id, epoch
    )
    select session.*, claimed.epoch as lease_epoch, candidate.owner_seen_at
    from claimed
    join session on session.id = claimed.session_id
    join candidate on candidate.id = claimed.session_id`.execute(database.worker)
  return rows.map(({ lease_epoch: epoch, owner_seen_at: ownerSeenAt, ...session }) => ({
    session,
    lease: { sessionId: session.id, companyId: session.company_id, nodeId, epoch },
    ownerSeenAt,
  }))
}

/** Gives sessions back that nothing runs of any more, so that anybody may claim them. */
export async function releaseLeases(database: Database, leases: readonly Lease[]): Promise<void> {
  await sql`
    update session_lease set node_incarnation = 0
    from unnest(${leases.map(({ sessionId }) => sessionId)}::uuid[], ${leases.map(({ epoch }) => epoch)}::int8[])
      as released (session_id, epoch)
    where session_lease.session_id = released.session_id and session_lease.epoch = released.epoch`.execute(
    database.worker,
  )
}

/** Sessions of this life that its owner may not have heard of: they are meant to run no longer, or are asked something. */
export async function listToLookAt(database: Database, { nodeId, incarnation }: NodeLife): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select session.id from session join session_lease lease on lease.session_id = session.id
    where lease.node_id = ${nodeId} and lease.node_incarnation = ${incarnation} and (
      session.desired <> 'running'
      or exists (select from session_command where session_id = session.id and session_command.state = 'waiting')
    )`.execute(database.worker)
  return rows.map(({ id }) => id)
}

/**
 * For a statement that is a commit by itself: has a row while the lease holds, and nobody takes the session over until the
 * statement is over. What it guards must ask for the row first.
 */
export const heldLease = ({ sessionId, epoch }: Lease) =>
  sql`select session_id from session_lease where session_id = ${sessionId} and epoch = ${epoch} for share`

/**
 * A worker's transaction that counts only while the lease holds. Nobody takes the session over until it ends: keep it
 * short.
 * @throws LeaseLostError before `work` has begun
 */
export async function fenced<T>(
  database: WorkerDatabase,
  lease: Lease,
  work: (db: Transaction<Schema>) => Promise<T>,
): Promise<T> {
  return await database.worker.transaction().execute(async (db) => {
    const { rows } = await sql`
      select from session_lease where session_id = ${lease.sessionId} and epoch = ${lease.epoch} for share`.execute(db)
    if (rows.length === 0) throw new LeaseLostError(lease)
    return await work(db)
  })
}
