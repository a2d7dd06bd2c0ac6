import { Kysely, PostgresDialect, type PostgresPoolClient } from 'kysely'
import { Pool, type PoolClient } from 'pg'
import type { MessageIntakeOptions } from '#src/services/outbox/message-intake.ts'
import { connectionConfig } from '#src/storage/connection.ts'
import type { Database } from '#src/storage/database.ts'
import { DueWebhooks } from '#src/storage/due-webhooks.ts'
import { MessageAcceptor } from '#src/storage/message-acceptor.ts'
import type { Schema } from '#src/storage/schema-types.ts'

/**
 * What goes wrong at which statement, counted from 1. `crash`: the process dies, the server rolls back what is under way
 * and nothing is ever answered again. `break`: only this connection breaks. Either before the statement reaches the
 * server, or after it is done and before its answer arrives.
 */
export interface Fault {
  what: 'crash' | 'break'
  when: 'before' | 'after'
  atStatement: number
}

export interface FaultyDatabase extends Database {
  /** For the outbox, which has a connection of its own: the same fault hits it. */
  readonly acceptor: NonNullable<MessageIntakeOptions['acceptor']>
  /** Statements so far, `begin` and `commit` included. */
  readonly statements: number
  readonly hasCrashed: boolean
  /** Resolves when it has. */
  readonly crashed: Promise<void>
}

/** The database as a process sees it to which something happens. */
export function openFaultyDatabase(url: string, fault?: Fault): FaultyDatabase {
  const pool = new Pool({ ...connectionConfig(url, 'frontdesk_worker'), max: 5 })
  pool.on('error', () => undefined)
  const clients = new Set<PoolClient>()
  let statements = 0
  let hasCrashed = false
  const crashed = Promise.withResolvers<void>()

  const strike = (breakConnection: () => void): never => {
    if (fault?.what === 'break') {
      breakConnection()
      throw Object.assign(new Error('The connection is broken.'), { code: 'ECONNRESET' })
    }
    hasCrashed = true
    crashed.resolve()
    for (const client of clients) client.release(true)
    clients.clear()
    throw new Error('The process has crashed.')
  }
  const run = async <T>(statement: () => Promise<T>, breakConnection: () => void): Promise<T> => {
    if (hasCrashed) strike(breakConnection)
    statements += 1
    const isHit = statements === fault?.atStatement
    if (isHit && fault?.when === 'before') strike(breakConnection)
    const result = await statement()
    if (isHit || hasCrashed) strike(breakConnection)
    return result
  }
  const connect = async (): Promise<PostgresPoolClient> => {
    if (hasCrashed) throw new Error('The process has crashed.')
    const client = await pool.connect()
    client.on('error', () => undefined)
    clients.add(client)
    const drop = () => {
      if (clients.delete(client)) client.release(true)
    }
    return {
      // Only this form is used: no cursors here. A connection that is broken stays so.
      query: (text: unknown, parameters?: unknown) =>
        (clients.has(client)
          ? run(() => client.query(text as string, parameters as unknown[]), drop)
          : Promise.reject(new Error('The connection is broken.'))) as never,
      release() {
        if (clients.delete(client)) client.release()
      },
    }
  }
  const worker = new Kysely<Schema>({
    dialect: new PostgresDialect({ pool: { connect, end: () => pool.end(), options: {} } }),
  })
  const server = { url, isPooled: false, dueWebhooks: new DueWebhooks() }
  const acceptor = new MessageAcceptor(server)
  return {
    ...server,
    acceptor: {
      accept: (messages) =>
        run(
          () => acceptor.accept(messages),
          () => undefined,
        ),
      [Symbol.asyncDispose]: () => acceptor[Symbol.asyncDispose](),
    },
    worker,
    dedicated: () => ({ worker }),
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
