import { Kysely, PostgresDialect, type Transaction } from 'kysely'
import { Client, Pool } from 'pg'
import { CompanyDialect } from './company-dialect.ts'
import { connectionConfig, unreachable } from './connection.ts'
import type { Schema } from './schema-types.ts'

export interface DatabaseOptions {
  maxConnections?: number
}

/** The pool of one process, under the two roles. */
export interface Database extends AsyncDisposable {
  /** For connections of one's own. Holds the password. */
  readonly url: string
  /** Sees all companies: session hosts, claimers, key ring. Never what serves a company's request. */
  readonly worker: Kysely<Schema>
  /**
   * One transaction that can see and change this company only, whatever its statements say. Committed when `work`
   * resolves, rolled back when it rejects.
   */
  asCompany<T>(companyId: string, work: (db: Transaction<Schema>) => Promise<T>): Promise<T>
}

/**
 * Opens the pool, and one connection to be sure.
 * @throws FrontdeskError `database_unreachable`
 */
export async function openDatabase(url: string, options: DatabaseOptions = {}): Promise<Database> {
  const pool = new Pool({
    ...connectionConfig(url, 'frontdesk_worker'),
    max: options.maxConnections ?? 10,
    idleTimeoutMillis: 30_000,
  })
  // An idle connection has ended: the pool replaces it, and a server that stays away fails the next query.
  pool.on('error', () => undefined)
  // One in use has ended: its query fails, and so does the next one. Without a listener the process would end as well.
  pool.on('connect', (client) => client.on('error', () => undefined))
  try {
    const client = await pool.connect()
    client.release()
  } catch (error) {
    await pool.end()
    const { host, port } = new Client(connectionConfig(url))
    throw unreachable({ host, port }, error)
  }
  const worker = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
  return {
    url,
    worker,
    async asCompany(companyId, work) {
      const scoped = new Kysely<Schema>({ dialect: new CompanyDialect(pool, companyId) })
      return await scoped.transaction().execute(work)
    },
    [Symbol.asyncDispose]: () => worker.destroy(),
  }
}
