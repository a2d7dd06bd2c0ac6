import { Kysely, PostgresDialect, type PostgresPoolClient } from 'kysely'
import { Pool, type PoolClient } from 'pg'
import type { OutboxOptions } from '#src/services/outbox/outbox.ts'
import { connectionConfig } from '#src/storage/connection.ts'
import type { Database } from '#src/storage/database.ts'
import { MessageAcceptor } from '#src/storage/message-acceptor.ts'
import type { Schema } from '#src/storage/schema-types.ts'

/** When a process dies, counted in statements: before the statement is sent, or after it is done but before the answer. */
export interface Crash {
  atStatement: number
  when: 'before' | 'after'
}

export interface CrashingDatabase extends Database {
  /** For the outbox, which has a connection of its own: it dies with the process. */
  readonly acceptor: NonNullable<OutboxOptions['acceptor']>
  /** Statements so far, `begin` and `commit` included. */
  readonly statements: number
  readonly hasCrashed: boolean
  /** Resolves when it has. */
  readonly crashed: Promise<void>
}

/**
 * The database as a process sees it that dies at a certain statement: transactions under way are rolled back by the
 * server, and nothing is ever answered again.
 */
export function openCrashingDatabase(url: string, crash?: Crash): CrashingDatabase {
  const pool = new Pool({ ...connectionConfig(url, 'frontdesk_worker'), max: 5 })
  pool.on('error', () => undefined)
  const clients = new Set<PoolClient>()
  let statements = 0
  let hasCrashed = false
  const crashed = Promise.withResolvers<void>()

  const die = () => {
    hasCrashed = true
    crashed.resolve()
    for (const client of clients) client.release(true)
    clients.clear()
    throw new Error('The process has crashed.')
  }
  const run = async <T>(statement: () => Promise<T>): Promise<T> => {
    if (hasCrashed) return die()
    statements += 1
    const isLast = statements === crash?.atStatement
    if (isLast && crash?.when === 'before') return die()
    const result = await statement()
    return isLast || hasCrashed ? die() : result
  }
  const connect = async (): Promise<PostgresPoolClient> => {
    if (hasCrashed) return die()
    const client = await pool.connect()
    client.on('error', () => undefined)
    clients.add(client)
    return {
      // Only this form is used: no cursors here.
      query: (text: unknown, parameters?: unknown) =>
        run(() => client.query(text as string, parameters as unknown[])) as never,
      release() {
        if (clients.delete(client)) client.release()
      },
    }
  }
  const worker = new Kysely<Schema>({
    dialect: new PostgresDialect({ pool: { connect, end: () => pool.end(), options: {} } }),
  })
  const acceptor = new MessageAcceptor(url)
  return {
    url,
    acceptor: {
      accept: (messages) => run(() => acceptor.accept(messages)),
      [Symbol.asyncDispose]: () => acceptor[Symbol.asyncDispose](),
    },
    worker,
    asCompany: () => Promise.reject(new Error('Not needed here.')),
    get statements() {
      return statements
    },
    get hasCrashed() {
      return hasCrashed
    },
    crashed: crashed.promise,
    async [Symbol.asyncDispose]() {
      hasCrashed = true
      for (const client of clients) client.release(true)
      clients.clear()
      await pool.end()
    },
  }
}
