/** The figures of one benchmark, as its last line prints them. Only those that apply are set. */
export interface Figures {
  benchmark: 'sessions' | 'inbound' | 'outbound' | 'startup'
  rounds: number
  [figure: string]: number | string
}

const startedAt = performance.now()

/** Progress goes to the standard error, so that the standard output holds the result alone. */
export function progress(text: string): void {
  console.error(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(7)} s  ${text}`)
}

/** A table with its first column to the left and the others to the right, and below it the figures as one line of JSON. */
export function report(
  title: string,
  rows: readonly (readonly string[])[],
  notes: readonly string[],
  figures: Figures,
): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  const lines = rows.map((row) =>
    widths
      .map((width, column) => {
        const cell = row[column] ?? ''
        return column === 0 ? cell.padEnd(width) : cell.padStart(width)
      })
      .join('   ')
      .trimEnd(),
  )
  const [head = '', ...body] = lines
  console.log(`\n${title}\n\n${head}\n${'-'.repeat(Math.max(...lines.map((line) => line.length)))}`)
  for (const line of [...body, '', ...notes]) console.log(line)
  console.log(`\n${JSON.stringify(figures)}`)
}
