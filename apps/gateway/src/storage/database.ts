import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient, type Transaction } from 'kysely'
import { Client, DatabaseError, Pool, type PoolClient } from 'pg'
import {
  connectionConfig,
  isPooled,
  RESPONSE_TIMEOUT_MS,
  type Server,
  serverSettings,
  unreachable,
} from './connection.ts'
import { DueWebhooks } from './due-webhooks.ts'
import type { Schema } from './schema-types.ts'
import { queryInScope, type Scope } from './scoped-query.ts'
import { StatementNames } from './statement-names.ts'

/** What is prepared is planned while a table is small, and must still be right when it has grown. */
const PLANNING = { enable_seqscan: 'off' }

/** SQLSTATE "feature not supported", which is what Postgres says of a cached plan that returns something else by now. */
const PLAN_IS_STALE = '0A000'

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export interface DatabaseOptions {
  maxConnections?: number
  /** How long a statement may take, milliseconds; then its connection is given up. */
  responseTimeoutMs?: number
}

/** The pool of one process, under the two roles. Its address is for connections of one's own. */
export interface Database extends Server, AsyncDisposable {
  /** Sees all companies: session hosts, claimers, key ring. Never what serves a company's request. */
  readonly worker: Kysely<Schema>
  /** What commits of this process have brought for webhooks. */
  readonly dueWebhooks: DueWebhooks
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
  const server: Server = { url, isPooled: await isPooled(url) }
  const pool = new Pool({
    ...connectionConfig(server, 'frontdesk_worker', PLANNING),
    max: options.maxConnections ?? 10,
    idleTimeoutMillis: 30_000,
  })
  // An idle connection has ended: the pool replaces it, and a server that stays away fails the next query.
  pool.on('error', () => undefined)
  // One in use has ended: its query fails, and so does the next one. Without a listener the process would end as well.
  pool.on('connect', (client) => client.on('error', () => undefined))
  const dueWebhooks = new DueWebhooks()
  pool.on('connect', (client) => dueWebhooks.hear(client))
  const { responseTimeoutMs = RESPONSE_TIMEOUT_MS } = options
  const names = new StatementNames()
  const poolIn = (scope?: Scope) => limitedPool(pool, responseTimeoutMs, scope ?? names)
  const workerPool = poolIn(server.isPooled ? serverSettings('frontdesk_worker') : undefined)
  const worker = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: workerPool }) })
  try {
    await ensureRole(workerPool)
  } catch (error) {
    await pool.end()
    const { host, port } = new Client(connectionConfig(server))
    throw unreachable({ host, port }, error)
  }
  return {
    ...server,
    worker,
    dueWebhooks,
    async asCompany(companyId, work) {
      if (!UUID.test(companyId)) throw new TypeError('a company id must be a UUID')
      // Without a pooler the connection has the other settings already.
      const settings = server.isPooled ? serverSettings('frontdesk_api') : { role: 'frontdesk_api' }
      const scope = { ...settings, 'frontdesk.company': companyId }
      const scoped = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: poolIn(scope) }) })
      return await scoped.transaction().execute(work)
    },
    // Not through Kysely, which leaves alone a pool that it has not used.
    [Symbol.asyncDispose]: async () => {
      if (!pool.ending) await pool.end()
    },
  }
}

/** The pool, with each statement outside a transaction, and each transaction, in this scope; or with statements prepared. */
const limitedPool = (pool: Pool, responseTimeoutMs: number, scopeOrNames: Scope | StatementNames): PostgresPool => ({
  options: {},
  end: () => Promise.resolve(),
  async connect(): Promise<PostgresPoolClient> {
    const client = await pool.connect()
    return {
      // Only this form is used: there are no cursors here.
      query: (text: unknown, values?: unknown) => {
        const statement = { text: text as string, values: values as unknown[] }
        const answer =
          scopeOrNames instanceof StatementNames
            ? client.query({ ...statement, name: scopeOrNames.of(statement.text) })
            : queryInScope(client, statement, scopeOrNames)
        return answered(client, answer, responseTimeoutMs) as never
      },
      release: (isBroken) => client.release(isBroken),
    }
  },
})

/**
 * Whoever waits for a server that is gone hears of it, and the pool makes a new connection. So it does after a migration
 * that has changed what a prepared statement returns.
 */
async function answered<T>(client: PoolClient, answer: Promise<T>, timeoutMs: number): Promise<T> {
  const timeout = setTimeout(() => client.connection.stream.destroy(), timeoutMs)
  try {
    return await answer
  } catch (error) {
    if (error instanceof DatabaseError && error.code === PLAN_IS_STALE) client.connection.stream.destroy()
    throw error
  } finally {
    clearTimeout(timeout)
  }
}

/** Row-level security holds for this role, and not for the owner as whom we log in. */
async function ensureRole(pool: PostgresPool): Promise<void> {
  const client = await pool.connect()
  try {
    const { rows } = await client.query<{ role: string }>('select current_user as role', [])
    if (rows[0]?.role !== 'frontdesk_worker') throw new Error('it does not run statements under the role they ask for')
  } finally {
    client.release()
  }
}
