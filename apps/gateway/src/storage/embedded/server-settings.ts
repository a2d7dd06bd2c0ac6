/**
 * How the embedded server runs: durable, small, and reachable through a socket in its own directory only, which no other
 * user can enter.
 */
const SERVER_SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '',
  // Relative to the server's directory: a path of any length works, and no parent directory has to be open.
  unix_socket_directories: '.',
  max_connections: '100',
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  shared_buffers: '48MB',
  work_mem: '4MB',
  maintenance_work_mem: '32MB',
  effective_cache_size: '256MB',
  min_wal_size: '32MB',
  max_wal_size: '512MB',
  // No replicas: less to write, and no processes for it.
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_logical_replication_workers: '0',
  max_worker_processes: '2',
  max_parallel_workers_per_gather: '0',
  io_method: 'sync',
  // Statements are short; compiling them costs more than it saves.
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // The log tells of the server, never of a statement, a parameter or a row: those errors reach us as their caller.
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  log_checkpoints: 'off',
}

/** The settings as arguments of `postgres`. */
export function settingArguments(overrides: Readonly<Record<string, string>> = {}): string[] {
  const settings: Record<string, string> = { ...SERVER_SETTINGS, ...overrides }
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}
