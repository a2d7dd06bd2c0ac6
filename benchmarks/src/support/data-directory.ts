import { randomBytes } from 'node:crypto'
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
