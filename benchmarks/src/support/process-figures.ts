import { readdirSync, readFileSync } from 'node:fs'

/** What a process and its children use now. Read from /proc, hence Linux only. */
export interface ProcessFigures {
  /** Resident memory of the process itself. */
  rssMb: number
  /**
   * Memory of its children (the embedded database), as PSS: pages that several of them share are counted once, where RSS
   * would count Postgres' shared buffers for every connection.
   */
  childrenPssMb: number
  /** Processor time so far, milliseconds in steps of 10. */
  cpuMs: number
  childrenCpuMs: number
}

/** The kernel's USER_HZ, the same on all common platforms. */
const MS_PER_TICK = 10

export function readFigures(pid: number): ProcessFigures {
  const children = descendants(pid)
  return {
    rssMb: kilobytes(`/proc/${pid}/status`, 'VmRSS') / 1024,
    childrenPssMb: sum(children.map((child) => ifAlive(() => kilobytes(`/proc/${child}/smaps_rollup`, 'Pss')))) / 1024,
    cpuMs: readStat(pid).ownTicks * MS_PER_TICK,
    childrenCpuMs: sum(children.map((child) => ifAlive(() => readStat(child).allTicks))) * MS_PER_TICK,
  }
}

/** The ids of all processes below this one. */
export function descendants(root: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    parents.set(
      Number(name),
      ifAlive(() => readStat(Number(name)).parent),
    )
  }
  const isBelow = (pid: number): boolean => {
    const parent = parents.get(pid)
    return parent !== undefined && (parent === root || isBelow(parent))
  }
  return [...parents.keys()].filter(isBelow)
}

function readStat(pid: number): { parent: number; ownTicks: number; allTicks: number } {
  // The command's name may hold spaces and parentheses; the fields are counted from the last one.
  const fields = (readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1) ?? '').split(' ').map(Number)
  const at = (index: number) => fields[index] ?? 0
  const ownTicks = at(11) + at(12)
  return { parent: at(1), ownTicks, allTicks: ownTicks + at(13) + at(14) }
}

function kilobytes(file: string, field: string): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(file, 'utf8'))
  if (match?.[1] === undefined) throw new Error(`${file} has no ${field}.`)
  return Number(match[1])
}

/** A database connection may end between the listing and the reading: it then counts as nothing. */
function ifAlive(read: () => number): number {
  try {
    return read()
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ESRCH') return 0
    throw error
  }
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
