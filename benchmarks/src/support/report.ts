/** The figures of one benchmark, as its last line prints them. Units stand in their names. */
export type Figures = { benchmark: string } & Record<string, string | number>

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
