import type { Client, QueryConfig, QueryResult, QueryResultRow } from 'pg'
import { connect, connectionConfig, LASTING_PLANS, RESPONSE_TIMEOUT_MS, serverSettings } from '../connection.ts'
import type { Database } from '../database.ts'
import { queryInScope } from '../scoped-query.ts'

/** A server that does not answer for so long is given up; the statement is tried again on a new connection. */
const STATEMENT_TIMEOUT_MS = 30_000

/** The server's settings for this connection. */
export const FLUSH_SETTINGS = {
  synchronous_commit: 'on',
  statement_timeout: String(STATEMENT_TIMEOUT_MS),
  ...LASTING_PLANS,
}

const SCOPE = { ...serverSettings('frontdesk_worker'), ...FLUSH_SETTINGS }

/** The database as far as a connection of one's own needs it. */
export type FlushServer = Pick<Database, 'url' | 'isPooled' | 'dueWebhooks'>

/** A connection for one statement after the other that is the same each time. Made when needed, and again after it broke. */
export class FlushConnection implements AsyncDisposable {
  readonly #server: FlushServer
  #client: Client | undefined

  constructor(server: FlushServer) {
    this.#server = server
  }

  /** Runs the statement, prepared under its name; unnamed through a pooler, where prepared ones are another client's next. */
  async query<Row extends QueryResultRow>(statement: QueryConfig): Promise<QueryResult<Row>> {
    this.#client ??= await this.#connect()
    if (!this.#server.isPooled) return await this.#client.query<Row>(statement)
    const { name, ...unnamed } = statement
    // The name is for whoever looks at the server's activity.
    if (name !== undefined) unnamed.text = `/* ${name} */ ${unnamed.text}`
    return await queryInScope<Row>(this.#client, unnamed, SCOPE)
  }

  /** Forgets a connection whose state is not known. */
  async drop(): Promise<void> {
    const client = this.#client
    this.#client = undefined
    // It may be broken in any way, and nothing more is asked of it.
    await client?.end().catch(() => undefined)
  }

  async #connect(): Promise<Client> {
    const client = await connect({
      ...connectionConfig(this.#server, 'frontdesk_worker', FLUSH_SETTINGS),
      query_timeout: RESPONSE_TIMEOUT_MS,
    })
    this.#server.dueWebhooks.hear(client)
    return client
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.drop()
  }
}
