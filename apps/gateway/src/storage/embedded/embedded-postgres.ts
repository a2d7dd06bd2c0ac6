import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Logger } from 'pino'
import { connect, connectionConfig } from '../connection.ts'
import { lockDataDirectory } from './data-directory-lock.ts'
import { postgresBinaries } from './postgres-binaries.ts'
import { serverAccount } from './server-account.ts'
import { ensureServerFiles, SERVER_USER, type ServerDirectory } from './server-directory.ts'
import { startServerProcess } from './server-process.ts'
import { settingArguments } from './server-settings.ts'

const DATABASE = 'frontdesk'
/** The kernel's limit for the path of a Unix socket (Linux 107, macOS 103), less `/.s.PGSQL.5432`. */
const MAX_SOCKET_DIRECTORY_BYTES = 103 - '/.s.PGSQL.5432'.length

export interface EmbeddedPostgresOptions {
  /** Made if there is none. Holds `postgres` (the server's files), `postgres.log` and the lock. */
  dataDir: string
  log: Logger
  /** Server settings that differ from the usual ones. */
  settings?: Readonly<Record<string, string>>
  /** Where the binaries are copied when the server's user cannot reach the package. */
  cacheDir?: string
}

/** A running database of our own. Disposing of it stops it; what is committed is kept. */
export interface EmbeddedPostgres extends AsyncDisposable {
  /** Of the owner of all tables, through the private socket. */
  readonly url: string
  /** The pid of the server that runs now; another one after it crashed. */
  readonly pid: number | undefined
}

/**
 * Starts the real Postgres as a child of this process, and again whenever it crashes. A server that a killed process left
 * behind is stopped first.
 *
 * @throws FrontdeskError `data_directory_in_use`, `embedded_database_failed`, `database_version_mismatch`
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const dataDir = resolve(options.dataDir)
  const { log } = options
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  await using resources = new AsyncDisposableStack()
  resources.use(lockDataDirectory(dataDir))

  const path = join(dataDir, 'postgres')
  const account = serverAccount(path)
  const binaries = await postgresBinaries({
    forAnotherUser: account !== undefined,
    ...(options.cacheDir === undefined ? {} : { cacheDir: options.cacheDir }),
  })
  const directory: ServerDirectory = { path, account, binaries }
  await ensureServerFiles(directory)

  const socketDirectory = resources.use(await shortPathTo(path)).path
  const args = settingArguments(options.settings)
  const server = resources.use(await startServerProcess(directory, args, join(dataDir, 'postgres.log'), log))
  await ensureDatabase(socketDirectory)
  const running = resources.move()
  return {
    url: urlOf(socketDirectory, DATABASE),
    get pid() {
      return server.pid
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

/** The address of the server that another process of this machine runs in this data directory, while it runs. */
export async function joinEmbeddedPostgres(dataDir: string): Promise<{ url: string } & AsyncDisposable> {
  const { path, [Symbol.asyncDispose]: dispose } = await shortPathTo(join(resolve(dataDir), 'postgres'))
  return { url: urlOf(path, DATABASE), [Symbol.asyncDispose]: dispose }
}

const urlOf = (socketDirectory: string, database: string): string =>
  `postgresql://${SERVER_USER}@localhost/${database}?host=${encodeURIComponent(socketDirectory)}`

/** Clients connect by path, whose length is limited: a long one gets a short link, in a directory that is only ours. */
async function shortPathTo(path: string): Promise<AsyncDisposable & { path: string }> {
  if (Buffer.byteLength(path) <= MAX_SOCKET_DIRECTORY_BYTES)
    return { path, [Symbol.asyncDispose]: () => Promise.resolve() }
  const temporary = [tmpdir(), '/tmp'].find((directory) => directory.length <= 60) ?? '/tmp'
  const directory = await mkdtemp(join(temporary, 'frontdesk-'))
  await symlink(path, join(directory, 's'))
  return {
    path: join(directory, 's'),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  }
}

async function ensureDatabase(socketDirectory: string): Promise<void> {
  const client = await connect(connectionConfig(urlOf(socketDirectory, 'postgres')))
  try {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [DATABASE])
    if (rowCount === 0) await client.query(`create database ${DATABASE}`)
  } finally {
    await client.end()
  }
}
