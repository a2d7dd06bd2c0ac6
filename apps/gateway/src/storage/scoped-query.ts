import {
  type ClientBase,
  type Connection,
  escapeLiteral,
  Query,
  type QueryConfig,
  type QueryResult,
  type QueryResultRow,
} from 'pg'

/** The server's settings under which a statement runs, `role` among them. Names are ours; values may be anybody's. */
export type Scope = Readonly<Record<string, string>>

const BEGIN = /^(begin|start transaction)\b/

/**
 * Runs a statement whose transaction has these settings, and nothing after it: they are set in the same round trip and end
 * with the transaction, so that it does not matter to whom the server's connection belonged before, or belongs next. A
 * `begin` carries them through its whole transaction; a statement in a transaction has that one's.
 *
 * One statement only, and not to be called before the last one is answered.
 */
export async function queryInScope<Row extends QueryResultRow>(
  client: ClientBase,
  statement: Omit<QueryConfig, 'name'>,
  scope: Scope,
): Promise<QueryResult<Row>> {
  const { text, values } = statement
  if (isInTransaction(client)) return await client.query<Row>({ text, values })
  // A transaction takes its isolation level only before its first query, and this is neither planned nor answered.
  if (BEGIN.test(text)) return lastOf(await client.query<Row>(`${text}; ${setLocal(scope)}`))
  return await new Promise((resolve, reject) => {
    // Extended protocol, since only its statements can be put behind others into one transaction.
    const query = new Query<Row>({ text, values, queryMode: 'extended' } as QueryConfig, (error, results) => {
      if (error) reject(error)
      else resolve(lastOf(results))
    })
    const { submit } = query
    query.submit = (connection) => {
      connection.stream.cork()
      try {
        setScope(connection, scope)
        submit.call(query, connection)
      } finally {
        connection.stream.uncork()
      }
    }
    client.query(query)
  })
}

const isInTransaction = (client: ClientBase): boolean => {
  const status = client.getTransactionStatus()
  return status === 'T' || status === 'E'
}

const setLocal = (scope: Scope): string =>
  Object.entries(scope)
    .map(([name, value]) => `set local ${name} to ${escapeLiteral(value)}`)
    .join('; ')

/** No `sync` follows: so the server takes this and what comes next as one transaction. */
function setScope(connection: Connection, scope: Scope): void {
  const entries = Object.entries(scope)
  const calls = entries.map(([name], index) => `set_config('${name}', $${index + 1}, true)`)
  connection.parse({ name: '', text: `select ${calls.join(', ')}`, types: [] }, true)
  connection.bind({ values: entries.map(([, value]) => value) }, true)
  connection.describe({ type: 'P', name: '' }, true)
  connection.execute({}, true)
}

/** The driver gives a list when several statements were answered. */
function lastOf<Result>(results: Result | Result[]): Result {
  const last = Array.isArray(results) ? results.at(-1) : results
  if (last === undefined) throw new Error('the server has answered without a result')
  return last
}
