import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { FrontdeskError } from '#src/model/errors.ts'

const SQLITE_BUSY = 5

/**
 * Takes the data directory for this process until the lock is disposed of or the process ends, however it ends.
 *
 * The lock is the kernel's own, on `frontdesk.lock`, held through SQLite because Node has no call for it. So it can be
 * neither stale nor taken twice, which a file with a process id in it can: ids are used again, and containers that share
 * a volume do not see each other's. The process id beside it only tells people whom to stop. Nothing else in this process
 * may open `frontdesk.lock`: on closing it again the kernel would let go of the lock.
 *
 * @throws FrontdeskError `data_directory_in_use`, or `configuration_invalid` if the directory cannot be written to
 */
export function lockDataDirectory(dataDir: string): Disposable {
  const holderFile = join(dataDir, 'frontdesk.pid')
  let lock: DatabaseSync | undefined
  try {
    lock = new DatabaseSync(join(dataDir, 'frontdesk.lock'), { timeout: 0 })
    lock.exec('pragma journal_mode = memory; begin exclusive')
    writeFileSync(holderFile, `${process.pid}\n`)
  } catch (error) {
    if (lock?.isOpen) lock.close()
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY)
      throw new FrontdeskError('data_directory_in_use', `${dataDir} is held by ${holder(holderFile)}.`)
    const reason = error instanceof Error ? error.message : String(error)
    throw new FrontdeskError('configuration_invalid', `The data directory ${dataDir} cannot be used: ${reason}.`)
  }
  const held = lock
  return {
    [Symbol.dispose]() {
      if (!held.isOpen) return
      rmSync(holderFile, { force: true })
      held.close()
    },
  }
}

function holder(file: string): string {
  try {
    return `process ${readFileSync(file, 'utf8').trim()}`
  } catch {
    // The holder is starting or ending this very moment.
    return 'another process'
  }
}
