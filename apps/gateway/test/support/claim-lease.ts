import { sql } from 'kysely'
import type { Database } from '#src/storage/database.ts'
import type { Lease } from '#src/storage/leases.ts'

/** Takes the session over from whoever owns it, as if that owner had just been declared dead. */
export async function claimLease(database: Database, nodeId: string, sessionId: string): Promise<Lease> {
  const { rows } = await sql<{ company_id: string; epoch: number }>`
    insert into session_lease as lease (session_id, company_id, node_id)
    select id, company_id, ${nodeId} from session where id = ${sessionId}
    on conflict (session_id) do update
      set node_id = excluded.node_id, node_incarnation = excluded.node_incarnation, epoch = lease.epoch + 1
    returning company_id, epoch`.execute(database.worker)
  const [row] = rows
  if (row === undefined) throw new Error('there is no such session')
  return { sessionId, companyId: row.company_id, nodeId, epoch: row.epoch }
}
