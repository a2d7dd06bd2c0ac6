import { type ChildProcess, spawn } from 'node:child_process'
import { chownSync, statSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, connectionConfig } from '#src/storage/connection.ts'
import { ensurePgBouncer } from '../../../../scripts/ensure-pgbouncer.ts'
import { until } from './until.ts'

const NOBODY = 'login_without_rights'

/** A real PgBouncer in transaction mode, with few connections to the server. */
export interface PgBouncer extends AsyncDisposable {
  /** Of the same database, through the pooler. */
  readonly url: string
  /** Ends it at once, with all connections. */
  kill(): Promise<void>
  start(): Promise<void>
}

interface PgBouncerOptions {
  /** Connections to the server. */
  poolSize?: number
  /** How long a client waits for one of them. Two minutes unless told. */
  queryWaitTimeoutSeconds?: number
  /**
   * As whom it logs in to the server. Unless told, as somebody who may become one of our roles and may do nothing at all
   * by himself: so every statement that does not run under its role fails.
   */
  user?: string
}

/** Stands in front of an embedded server, whose database this URL names. */
export async function startPgBouncer(databaseUrl: string, options: PgBouncerOptions = {}): Promise<PgBouncer> {
  const executable = ensurePgBouncer()
  if (options.user === undefined) await createNobody(databaseUrl)
  const url = new URL(databaseUrl)
  const serverDirectory = url.searchParams.get('host') ?? ''
  const directory = await mkdtemp(join(tmpdir(), 'frontdesk-pgbouncer-'))
  const isRoot = process.getuid?.() === 0
  const configuration = join(directory, 'pgbouncer.ini')
  const socket = join(directory, '.s.PGSQL.5432')
  await writeFile(
    configuration,
    [
      '[databases]',
      // The embedded server of root lies below directories that its user cannot walk through.
      `* = host=${isRoot ? '/proc/self/cwd' : serverDirectory} port=5432 user=${options.user ?? NOBODY}`,
      '[pgbouncer]',
      'pool_mode = transaction',
      `default_pool_size = ${options.poolSize ?? 5}`,
      `query_wait_timeout = ${options.queryWaitTimeoutSeconds ?? 120}`,
      'auth_type = any',
      `unix_socket_dir = ${directory}`,
      'listen_port = 5432',
      'max_client_conn = 200',
      // How long it leaves a server alone that could not be reached.
      'server_login_retry = 0.1',
      'log_connections = 0',
      'log_disconnections = 0',
    ].join('\n'),
  )
  // It refuses to be root, as Postgres does.
  const { uid, gid } = statSync(serverDirectory)
  if (isRoot) for (const path of [directory, configuration]) chownSync(path, uid, gid)

  let pooler: ChildProcess
  const start = async (): Promise<void> => {
    const started = spawn(executable, ['-q', configuration], {
      cwd: serverDirectory,
      stdio: 'ignore',
      ...(isRoot && { uid, gid }),
    })
    pooler = started
    await until(() => {
      if (started.exitCode !== null) throw new Error(`PgBouncer has ended with ${started.exitCode}.`)
      return answers(socket)
    })
  }
  const kill = async (): Promise<void> => {
    const ended = new Promise((resolve) => pooler.once('exit', resolve))
    if (pooler.kill('SIGKILL')) await ended
  }
  await start()
  url.searchParams.set('host', directory)
  return {
    url: url.href,
    start,
    kill,
    async [Symbol.asyncDispose]() {
      await kill()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function createNobody(databaseUrl: string): Promise<void> {
  const owner = await connect(connectionConfig(databaseUrl))
  await owner.query(`
    do $$
    begin
      create role ${NOBODY} login noinherit in role frontdesk_worker, frontdesk_api;
    exception
      -- Tests that run at the same time share the server.
      when duplicate_object or unique_violation then null;
    end
    $$`)
  await owner.end()
}

const answers = (socket: string): Promise<boolean> =>
  new Promise((resolve) => {
    const connection = createConnection(socket)
    connection.once('connect', () => {
      connection.destroy()
      resolve(true)
    })
    connection.once('error', () => resolve(false))
  })
