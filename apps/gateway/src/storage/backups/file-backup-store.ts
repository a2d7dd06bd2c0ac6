import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import { FrontdeskError } from '#src/model/errors.ts'
import type { BackupStore, StoredBackup } from './backup-store.ts'

const UNFINISHED = '.unfinished'

/** Backups in a directory. */
export class FileBackupStore implements BackupStore {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  async write(name: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    const path = this.#pathOf(name)
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    const unfinished = `${path}${UNFINISHED}`
    try {
      await using file = await open(unfinished, 'w', 0o600)
      for await (const piece of content) await file.writeFile(piece)
      await file.sync()
      await rename(unfinished, path)
      await using directory = await open(dirname(path))
      await directory.sync()
    } catch (error) {
      await rm(unfinished, { force: true })
      throw error
    }
  }

  async read(name: string): Promise<AsyncIterable<Uint8Array>> {
    const path = this.#pathOf(name)
    const found = await stat(path).catch(() => undefined)
    if (!found?.isFile()) throw new FrontdeskError('backup_not_found', `Looked for ${path}.`)
    return createReadStream(path)
  }

  async list(companyId?: string): Promise<StoredBackup[]> {
    const below = companyId === undefined ? this.#directory : join(this.#directory, companyId)
    const entries = await readdir(below, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
      throw error
    })
    const files = entries.filter((entry) => entry.isFile() && entry.name.endsWith('.backup'))
    const backups = files.map(async (entry) => {
      const path = join(entry.parentPath, entry.name)
      const name = path.slice(join(this.#directory, sep).length).replaceAll(sep, '/')
      return { name, bytes: (await stat(path)).size }
    })
    return (await Promise.all(backups)).sort((one, other) => (one.name < other.name ? -1 : 1))
  }

  async remove(name: string): Promise<void> {
    await rm(this.#pathOf(name), { force: true })
  }

  [Symbol.dispose](): void {
    // No file stays open.
  }

  /** Nothing outside of the directory. */
  #pathOf(name: string): string {
    if (!/^[\w-]+\/[\w.-]+\.backup$/.test(name))
      throw new FrontdeskError('backup_not_found', 'Its name is to be <company>/<time>-<random>.backup.')
    return join(this.#directory, name)
  }
}
