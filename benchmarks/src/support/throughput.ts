import { type ProcessFigures, readFigures } from './process-figures.ts'
import { round } from './statistics.ts'

/** What moving a number of messages took. */
export type Throughput = {
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

/** The rows of a table that compares throughputs, each under its name. */
export function throughputRows(compared: Readonly<Record<string, Throughput>>): string[][] {
  const all = Object.values(compared)
  return [
    ['', ...Object.keys(compared)],
    ['messages a second', ...all.map((one) => String(round(one.messagesPerSecond)))],
    ['CPU of the process, ms a message', ...all.map((one) => one.cpuMsPerMessage.toFixed(2))],
    ['CPU of the database, ms a message', ...all.map((one) => one.databaseCpuMsPerMessage.toFixed(2))],
  ]
}
