import { sql, type Transaction } from 'kysely'
import { FrontdeskError } from '#src/model/errors.ts'
import type { Database } from './database.ts'
import type { Schema } from './schema-types.ts'

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

/**
 * Takes the session over from whoever owns it. A commit of the former owner that is under way is waited for; every later
 * one is refused.
 * @throws FrontdeskError `not_found`
 */
export async function claimLease(database: Database, nodeId: string, sessionId: string): Promise<Lease> {
  const { rows } = await sql<{ company_id: string; epoch: number }>`
    insert into session_lease as lease (session_id, company_id, node_id)
    select id, company_id, ${nodeId} from session where id = ${sessionId}
    on conflict (session_id) do update set node_id = excluded.node_id, epoch = lease.epoch + 1
    returning company_id, epoch`.execute(database.worker)
  const [row] = rows
  if (row === undefined) throw new FrontdeskError('not_found')
  return { sessionId, companyId: row.company_id, nodeId, epoch: row.epoch }
}

/**
 * A worker's transaction that counts only while the lease holds. Nobody takes the session over until it ends: keep it
 * short.
 * @throws LeaseLostError before `work` has begun
 */
export async function fenced<T>(
  database: Database,
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
