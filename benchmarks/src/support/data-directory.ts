import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A data directory of one benchmark, and the key that everything in it is sealed with. */
export interface DataDirectory {
  readonly path: string
  /** 32 bytes, hex. */
  readonly masterKey: string
  readonly logFile: string
}

/** An empty one. It is removed with `resources`. */
export async function createDataDirectory(resources: AsyncDisposableStack): Promise<DataDirectory> {
  const parent = await mkdtemp(join(tmpdir(), 'frontdesk-bench-'))
  resources.defer(() => rm(parent, { recursive: true, force: true }))
  return {
    path: join(parent, 'data'),
    masterKey: randomBytes(32).toString('hex'),
    logFile: join(parent, 'gateway.log'),
  }
}

/** The process ids of the session hosts that run on it. */
export function sessionHostsOf({ path }: DataDirectory): number[] {
  const nodes = join(path, 'nodes')
  // A host that ends or begins in this moment has none.
  const files = readdirSync(nodes).map((slot) => join(nodes, slot, 'frontdesk.pid'))
  return files.filter((file) => existsSync(file)).map((file) => Number(readFileSync(file, 'utf8')))
}

/** The process id of the head of its database server. */
export function databaseServerOf({ path }: DataDirectory): number {
  return Number(readFileSync(join(path, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0])
}
