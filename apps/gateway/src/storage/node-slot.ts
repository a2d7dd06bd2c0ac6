import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { FrontdeskError } from '#src/model/errors.ts'
import { newId } from '#src/model/ids.ts'
import { lockDataDirectory } from './embedded/data-directory-lock.ts'

/** More processes on one data directory than anybody starts. */
const MAX_SLOTS = 256
const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** A node's identity, held by one process at a time. */
export interface NodeSlot extends Disposable {
  readonly nodeId: string
}

/**
 * Takes the first free slot of `nodes/` in the data directory. Its id stays the same from start to start, so that a process
 * that was killed finds its sessions free as soon as it is back. Where nothing can be written the id is a new one each
 * time; then they are free when the former one has not been seen for a while.
 */
export function takeNodeSlot(dataDirectory: string, log: Logger): NodeSlot {
  for (let slot = 0; slot < MAX_SLOTS; slot++) {
    const directory = join(dataDirectory, 'nodes', String(slot))
    try {
      mkdirSync(directory, { recursive: true })
      const lock = lockDataDirectory(directory)
      return { nodeId: idIn(join(directory, 'id')), [Symbol.dispose]: () => lock[Symbol.dispose]() }
    } catch (err) {
      if (err instanceof FrontdeskError && err.code === 'data_directory_in_use') continue
      log.info({ err }, 'The data directory cannot be written to: this process has a new identity.')
      break
    }
  }
  return { nodeId: newId(), [Symbol.dispose]: () => undefined }
}

function idIn(file: string): string {
  try {
    const stored = readFileSync(file, 'utf8').trim()
    if (ID.test(stored)) return stored
  } catch {
    // The slot is used for the first time.
  }
  const id = newId()
  writeFileSync(file, `${id}\n`)
  return id
}
