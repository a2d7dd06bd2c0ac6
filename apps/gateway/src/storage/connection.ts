import { Client, type ClientConfig, types } from 'pg'
import { FrontdeskError } from '#src/model/errors.ts'
import type { Scope } from './scoped-query.ts'

const CONNECT_TIMEOUT_MS = 10_000
/**
 * Longer than any statement of ours takes, milliseconds. When the server, or the way to it, vanishes without a word, as in
 * a failover, TCP alone would go on waiting for a quarter of an hour.
 */
export const RESPONSE_TIMEOUT_MS = 40_000
const INT8 = 20
const XID8 = 5069

/** Roles of the migrations: what a statement may do. Without one it is the owner of the tables. */
type DatabaseRole = 'frontdesk_worker' | 'frontdesk_api'

/** A database as it is reached. */
export interface Server {
  /** Holds the password. */
  readonly url: string
  /** Through a pooler: what is set for a connection may be lost, or become another client's, with each transaction. */
  readonly isPooled: boolean
}

/**
 * How Postgres values become JavaScript's, for every connection. A 64-bit integer is a number: identities, epochs and
 * counts stay far below 2^53, and one that does not is an error rather than rounded. A transaction id is a bigint.
 */
const customTypes: ClientConfig['types'] = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    if (format === 'binary') return types.getTypeParser(oid, format)
    if (oid === INT8) return parseInt8
    if (oid === XID8) return BigInt
    return types.getTypeParser(oid, format)
  },
}

function parseInt8(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new RangeError(`${text} is over the integers that a number holds exactly`)
  return value
}

/** The server's settings that all statements of ours have in common, those of this role. */
export const serverSettings = (role: DatabaseRole): Scope => ({ role, timezone: 'UTC' })

/**
 * For statements that are prepared, one plan for ever, and the only right one: walk what is given, find each row by its
 * index. Left to itself the planner would choose by the tables' sizes of the moment, and be wrong when they have grown.
 */
export const LASTING_PLANS: Scope = {
  jit: 'off',
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  // While a table is small, walking it costs less than looking things up in it: that must not be what decides.
  random_page_cost: '0',
  cpu_tuple_cost: '1',
}

/**
 * What all connections have in common. `settings` are the server's, for this connection, next to `serverSettings`. Poolers
 * refuse or drop them: there, each transaction brings its own, see `queryInScope`.
 */
export function connectionConfig(server: Server | string, role?: DatabaseRole, settings: Scope = {}): ClientConfig {
  const { url, isPooled } = typeof server === 'string' ? { url: server, isPooled: false } : server
  const all = isPooled ? {} : { ...(role && serverSettings(role)), ...settings }
  const ours = Object.entries(all).map(([name, value]) => `-c ${name}=${value}`)
  const { connectionString, options } = withoutOptions(url)
  const together = [...options, ...ours].join(' ')
  return {
    connectionString,
    application_name: 'frontdesk',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    ...(together !== '' && { options: together }),
    types: customTypes,
  }
}

/**
 * Whether a pooler stands between us and the server: then connections have not the process id that the server knows, since
 * poolers hand out cancellation keys of their own.
 * @throws FrontdeskError `database_unreachable`
 */
export async function isPooled(url: string): Promise<boolean> {
  const client = await connect(connectionConfig(url))
  try {
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
    // The driver has it, its types do not.
    return rows[0]?.pid !== (client as Client & { processID?: number }).processID
  } catch (error) {
    throw unreachable(client, error)
  } finally {
    await client.end()
  }
}

/** Options in the URL would take the place of ours, the role among them; so they are put before ours. */
function withoutOptions(url: string): { connectionString: string; options: string[] } {
  if (!/[?&]options=/.test(url)) return { connectionString: url, options: [] }
  const parsed = new URL(url)
  const options = parsed.searchParams.getAll('options')
  parsed.searchParams.delete('options')
  return { connectionString: parsed.href, options }
}

/**
 * A connection of its own, for work that is no pool's.
 * @throws FrontdeskError `database_unreachable`
 */
export async function connect(config: ClientConfig): Promise<Client> {
  const client = new Client(config)
  // A connection that breaks fails the query under way, or the next one; that is where it is handled.
  client.on('error', () => undefined)
  try {
    await client.connect()
  } catch (error) {
    throw unreachable(client, error)
  }
  return client
}

/** The error that an operator sees. It names the server, and never the user or the password. */
export function unreachable(server: { host: string; port: number }, cause: unknown): FrontdeskError {
  const where = server.host.startsWith('/') ? server.host : `${server.host}:${server.port}`
  const reason = cause instanceof AggregateError ? cause.errors.map(messageOf).join(', ') : messageOf(cause)
  return new FrontdeskError('database_unreachable', `${where}: ${reason}.`, { cause })
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
