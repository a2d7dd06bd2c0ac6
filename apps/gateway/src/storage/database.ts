import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient, sql, type Transaction } from 'kysely'
import { Client, DatabaseError, Pool, type PoolClient, type PoolConfig } from 'pg'
import {
  connectionConfig,
  isPooled,
  LASTING_PLANS,
  RESPONSE_TIMEOUT_MS,
  type Server,
  serverSettings,
  unreachable,
} from './connection.ts'
import { DueWebhooks } from './due-webhooks.ts'
import type { Schema } from './schema-types.ts'
import { queryInScope, type Scope } from './scoped-query.ts'
import { StatementNames } from './statement-names.ts'

/** SQLSTATE "feature not supported", which is what Postgres says of a cached plan that returns something else by now. */
const PLAN_IS_STALE = '0A000'

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export interface DatabaseOptions {
  maxConnections?: number
  /** How long a statement may take, milliseconds; then its connection is given up. */
  responseTimeoutMs?: number
}

/** Sees all companies: session hosts, claimers, key ring. Never what serves a company's request. */
export interface WorkerDatabase {
  readonly worker: Kysely<Schema>
}

/** The database as one process reaches it, under the two roles. Its address is for connections of one's own. */
export interface Database extends WorkerDatabase, Server, AsyncDisposable {
  /** What commits of this process have brought for webhooks. */
  readonly dueWebhooks: DueWebhooks
  /**
   * So many connections for one stage of a message's way alone, whose burst then holds up none of the others. They live as
   * long as this. For statements that find each row by its index: their plans are made once.
   */
  dedicated(connections: number): WorkerDatabase
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
  const { maxConnections = 6, responseTimeoutMs = RESPONSE_TIMEOUT_MS } = options
  const server: Server = { url, isPooled: await isPooled(url) }
  const dueWebhooks = new DueWebhooks()
  const pools: Pool[] = []
  const open = (max: number, settings: Scope): Pool => {
    const pool = openPool({ ...connectionConfig(server, 'frontdesk_worker', settings), max })
    pool.on('connect', (client) => dueWebhooks.hear(client))
    pools.push(pool)
    return pool
  }
  const asWorker = (pool: Pool, settings: Scope): Kysely<Schema> => {
    const scope = { ...serverSettings('frontdesk_worker'), ...settings }
    return queries(limitedPool(pool, responseTimeoutMs, server.isPooled ? scope : new StatementNames()))
  }
  // What is prepared is planned while a table is small, and must still be right when it has grown.
  const settings = { enable_seqscan: 'off' }
  const pool = open(maxConnections, settings)
  const worker = asWorker(pool, settings)
  try {
    await ensureRole(worker)
  } catch (error) {
    await pool.end()
    const { host, port } = new Client(connectionConfig(server))
    throw unreachable({ host, port }, error)
  }
  return {
    ...server,
    worker,
    dueWebhooks,
    dedicated: (connections) => ({ worker: asWorker(open(connections, LASTING_PLANS), LASTING_PLANS) }),
    async asCompany(companyId, work) {
      if (!UUID.test(companyId)) throw new TypeError('a company id must be a UUID')
      // Without a pooler the connection has the other settings already.
      const role = server.isPooled ? serverSettings('frontdesk_api') : { role: 'frontdesk_api' }
      const scoped = limitedPool(pool, responseTimeoutMs, { ...role, 'frontdesk.company': companyId })
      return await queries(scoped).transaction().execute(work)
    },
    // Not through Kysely, which leaves alone a pool that it has not used.
    [Symbol.asyncDispose]: async () => {
      await Promise.all(pools.filter(({ ending }) => !ending).map((each) => each.end()))
    },
  }
}

const queries = (pool: PostgresPool) => new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })

function openPool(config: PoolConfig): Pool {
  const pool = new Pool({ ...config, idleTimeoutMillis: 30_000 })
  // An idle connection has ended: the pool replaces it, and a server that stays away fails the next query.
  pool.on('error', () => undefined)
  // One in use has ended: its query fails, and so does the next one. Without a listener the process would end as well.
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
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
async function ensureRole(worker: Kysely<Schema>): Promise<void> {
  const { rows } = await sql<{ role: string }>`select current_user as role`.execute(worker)
  if (rows[0]?.role !== 'frontdesk_worker') throw new Error('it does not run statements under the role they ask for')
}
