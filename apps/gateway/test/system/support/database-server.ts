import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The pid of the embedded server of this data directory; 0 between the end of one and the start of the next. */
export async function postmasterPid(directory: string): Promise<number> {
  try {
    const [first] = (await readFile(join(directory, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')
    return Number(first)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 0
    throw error
  }
}

/** The pids of the server's other processes, one for each connection among them. */
export async function serverProcesses(postmaster: number): Promise<number[]> {
  const pids: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    // One that has just ended has none.
    const stat = await readFile(join('/proc', name, 'stat'), 'utf8').catch(() => '')
    if (Number(stat.slice(stat.lastIndexOf(')')).split(' ')[2]) === postmaster) pids.push(Number(name))
  }
  return pids
}
