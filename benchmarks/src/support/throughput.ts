import { type ProcessFigures, readFigures } from './process-figures.ts'
import { round } from './statistics.ts'

/** What moving a number of messages took. */
export interface Throughput extends Record<string, number> {
  messagesPerSecond: number
  cpuMsPerMessage: number
  /** Of the embedded database. */
  databaseCpuMsPerMessage: number
}

/** Times `move`, which moves `count` messages through the process. */
export async function measureThroughput(pid: number, count: number, move: () => Promise<void>): Promise<Throughput> {
  const before = readFigures(pid)
  const startedAt = performance.now()
  await move()
  const tookMs = performance.now() - startedAt
  const after = readFigures(pid)
  const perMessage = (figure: keyof ProcessFigures) => (after[figure] - before[figure]) / count
  return {
    messagesPerSecond: (count / tookMs) * 1000,
    cpuMsPerMessage: perMessage('cpuMs'),
    databaseCpuMsPerMessage: perMessage('childrenCpuMs'),
  }
}

/** The rows of a table that compares raw Baileys and Frontdesk. */
export function throughputRows(raw: Throughput, frontdesk: Throughput): string[][] {
  const row = (name: string, value: (of: Throughput) => string) => [name, value(raw), value(frontdesk)]
  return [
    ['', 'raw Baileys', 'Frontdesk'],
    row('messages a second', (of) => String(round(of.messagesPerSecond))),
    row('CPU of the process, ms a message', (of) => of.cpuMsPerMessage.toFixed(2)),
    row('CPU of the database, ms a message', (of) => of.databaseCpuMsPerMessage.toFixed(2)),
  ]
}
