import { mkdtemp, rm } from 'node:fs/promises'
import { createConnection, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Stands between a client and its database and breaks their connection at a chosen moment. */
export interface FaultyProxy extends AsyncDisposable {
  readonly url: string
  /** The next statement whose text or name holds this is carried out, and its answer is lost with the connection. */
  loseAnswerTo(statement: string): void
  /** Breaks all connections and takes no new ones. */
  cut(): void
  restore(): void
  /** From now on nothing comes through the connections that there are, and nobody is told; new ones work. */
  freeze(): void
  /** How many answers were lost. */
  readonly lost: number
}

const SOCKET = '.s.PGSQL.5432'

export async function startFaultyProxy(databaseUrl: string): Promise<FaultyProxy> {
  const upstream = join(new URL(databaseUrl).searchParams.get('host') ?? '', SOCKET)
  const directory = await mkdtemp(join(tmpdir(), 'frontdesk-proxy-'))
  const clients = new Set<Socket>()
  const frozen = new WeakSet<Socket>()
  let awaited: string | undefined
  let isCut = false
  let lost = 0

  const server = createServer((client) => {
    if (isCut) {
      client.destroy()
      return
    }
    clients.add(client)
    const database = createConnection(upstream)
    let losesNext = false
    client.on('data', (chunk) => {
      if (frozen.has(client)) return
      if (awaited !== undefined && chunk.includes(awaited)) {
        awaited = undefined
        losesNext = true
      }
      database.write(chunk)
    })
    database.on('data', (chunk) => {
      if (frozen.has(client)) return
      if (!losesNext) {
        client.write(chunk)
        return
      }
      // What the database answers it has committed.
      lost += 1
      client.destroy()
      database.destroy()
    })
    for (const [socket, other] of [
      [client, database],
      [database, client],
    ] as const) {
      socket.on('error', () => other.destroy())
      socket.on('close', () => other.destroy())
    }
    client.on('close', () => clients.delete(client))
  })
  const cut = (): void => {
    isCut = true
    for (const client of clients) client.destroy()
  }
  await new Promise<void>((resolve) => server.listen(join(directory, SOCKET), resolve))
  const url = new URL(databaseUrl)
  url.searchParams.set('host', directory)
  return {
    url: url.href,
    loseAnswerTo(statement) {
      awaited = statement
    },
    cut,
    restore() {
      isCut = false
    },
    freeze() {
      for (const client of clients) frozen.add(client)
    },
    get lost() {
      return lost
    },
    async [Symbol.asyncDispose]() {
      cut()
      await new Promise((resolve) => server.close(resolve))
      await rm(directory, { recursive: true, force: true })
    },
  }
}
