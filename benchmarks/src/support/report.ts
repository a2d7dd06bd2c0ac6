/** The figures of one benchmark, as its last line prints them: those that apply to it. */
export interface Figures {
  benchmark: 'sessions' | 'inbound' | 'outbound' | 'startup'
  rounds: number
  /** Sessions or messages, whichever the benchmark counts. */
  count?: number
  sessions?: number
  rssPerSessionMb?: number
  rawRssPerSessionMb?: number
  idleRssMb?: number
  rawIdleRssMb?: number
  connectP50Ms?: number
  rawConnectP50Ms?: number
  messagesPerSecond?: number
  rawMessagesPerSecond?: number
  ratio?: number
  cpuMsPerMessage?: number
  rawCpuMsPerMessage?: number
  databaseCpuMsPerMessage?: number
  /** Requests that the API has answered with 202. */
  acceptedPerSecond?: number
  /** Of messages that were accepted before the session came online. */
  backlogMessagesPerSecond?: number
  backlogRatio?: number
  backlogCpuMsPerMessage?: number
  addedLatencyP50Ms?: number
  addedLatencyP99Ms?: number
  startToServingMs?: number
  firstRunMs?: number
}

const startedAt = performance.now()

/** Progress goes to the standard error, so that the standard output holds the result alone. */
export function progress(text: string): void {
  console.error(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(7)} s  ${text}`)
}

/** Prints the title, a table whose first row is its head, notes, and as the last line the figures as JSON. */
export function report(title: string, rows: readonly string[][], notes: readonly string[], figures: Figures): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const [head = '', ...body] = rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('   '),
  )
  const lines = [title, '', head, '-'.repeat(head.length), ...body, '', ...notes, '', JSON.stringify(figures)]
  console.log(lines.join('\n'))
}
