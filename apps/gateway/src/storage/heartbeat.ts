import type { Client } from 'pg'
import { connect, connectionConfig, type Server, serverSettings } from './connection.ts'
import { NODE_TTL_MS, type NodeLife } from './nodes.ts'
import { queryInScope } from './scoped-query.ts'

/** Well below the time after which a node counts as dead, so that another try fits in. */
const TIMEOUT_MS = 1500

/**
 * Says that a node lives, and declares those dead that have not said so in time and still own something. Only a node that
 * is in time itself may do that: when the database's clock has jumped, or the database was away, all look late at first,
 * and one heartbeat later none does.
 */
const TEXT = `
with alive as (
  select from node where id = $1 and incarnation = $2 and seen_at between now() - $3::interval and now() + $3::interval
), died as (
  update node set incarnation = incarnation + 1, former_seen_at = seen_at, seen_at = '-infinity'
  where exists (select from alive) and id in (
    select silent.id from node silent
    where silent.id <> $1 and isfinite(silent.seen_at)
      and silent.seen_at not between now() - $3::interval and now() + $3::interval
    for update skip locked
  )
  returning id
), seen as (
  update node set seen_at = now() where id = $1 and incarnation = $2 returning id
)
select
  exists (select from seen) as "isAlive",
  (select count(*) from died) as "died",
  (select sum(incarnation)::text from node) as "lives"`

/** What a heartbeat has found. */
export interface Heartbeat {
  /** False when the life is over: somebody has declared the node dead. */
  isAlive: boolean
  /** Nodes that this heartbeat has declared dead. */
  died: number
  /** Changes whenever a life of any node begins or ends. */
  lives: string
}

/** The connection over which a process says that it lives: its own, so that nothing keeps a heartbeat waiting. */
export class HeartbeatConnection implements AsyncDisposable {
  readonly #server: Server
  #client: Client | undefined

  constructor(server: Server) {
    this.#server = server
  }

  /** Rejects when the database does not answer in time; the next call connects anew. */
  async beat({ nodeId, incarnation }: NodeLife): Promise<Heartbeat> {
    try {
      const settings = { statement_timeout: String(TIMEOUT_MS) }
      this.#client ??= await connect({
        ...connectionConfig(this.#server, 'frontdesk_worker', settings),
        connectionTimeoutMillis: TIMEOUT_MS,
        query_timeout: TIMEOUT_MS,
      })
      const statement = { text: TEXT, values: [nodeId, incarnation, `${NODE_TTL_MS} milliseconds`] }
      const { rows } = this.#server.isPooled
        ? await queryInScope<Heartbeat>(this.#client, statement, { ...serverSettings('frontdesk_worker'), ...settings })
        : await this.#client.query<Heartbeat>(statement)
      const [heartbeat] = rows
      if (heartbeat === undefined) throw new Error('the heartbeat has returned no row')
      return heartbeat
    } catch (error) {
      await this[Symbol.asyncDispose]()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const client = this.#client
    this.#client = undefined
    // It may be broken in any way, and nothing more is asked of it.
    await client?.end().catch(() => undefined)
  }
}
