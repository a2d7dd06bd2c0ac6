import { styleText } from 'node:util'

const TICKS = { pending: '…', sent: '✓', delivered: '✓✓', read: '✓✓' } as const
const WIDTH = 78

/** Prints the demonstration for a person to read: steps with their time, and the chat as bubbles on two sides. */
export class Transcript {
  readonly #startedAt = performance.now()
  readonly #write: (line: string) => void

  constructor(write: (line: string) => void = console.log) {
    this.#write = write
  }

  title(text: string, explanation: string): void {
    this.#write(`\n${styleText('bold', text)}\n${styleText('dim', explanation)}\n`)
  }

  /** Something that has just been achieved; the time is since the start. */
  step(text: string, detail = ''): void {
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(1).padStart(5)
    this.#write(
      `${styleText('dim', `${seconds} s`)}  ${styleText('green', '✓')} ${text}${detail && styleText('dim', `  ${detail}`)}`,
    )
  }

  /** What is going on meanwhile. */
  note(text: string): void {
    this.#write(styleText('dim', `           ${text}`))
  }

  block(text: string): void {
    this.#write(`\n${text.replace(/^/gm, '           ')}`)
  }

  /** A message as it stands in the chat: the customer's on the left, the company's on the right with its ticks. */
  message(from: string, text: string, side: 'left' | 'right', status?: keyof typeof TICKS): void {
    const ticks = status === undefined ? '' : ` ${styleText(status === 'read' ? 'cyan' : 'dim', TICKS[status])}`
    const lines = wrap(text, Math.round(WIDTH * 0.6))
    const length = Math.max(from.length, ...lines.map((line) => line.length))
    const indent = ' '.repeat(side === 'left' ? 11 : Math.max(11, WIDTH - length - 4))
    const bar = styleText(side === 'left' ? 'yellow' : 'green', '▌')
    this.#write(`\n${indent}${bar} ${styleText('bold', from)}`)
    lines.forEach((line, index) => {
      this.#write(`${indent}${bar} ${line}${index === lines.length - 1 ? ticks : ''}`)
    })
  }

  failure(text: string): void {
    this.#write(`\n${styleText('red', '✗')} ${text}`)
  }

  /** What is known of one thing, under its title: names and values, which may be long. */
  facts(title: string, rows: readonly (readonly [string, string])[]): void {
    this.#write(`\n  ${styleText('bold', title)}`)
    for (const [name, value] of rows) {
      wrap(value, WIDTH - 14).forEach((line, index) => {
        this.#write(`    ${styleText('dim', (index === 0 ? name : '').padEnd(10))}${line}`)
      })
    }
  }

  /** Names and what they stand for, in two columns. */
  table(rows: readonly (readonly [string, string])[]): void {
    const width = Math.max(...rows.map(([name]) => name.length))
    for (const [name, value] of rows) this.#write(`  ${name.padEnd(width)}  ${styleText('cyan', value)}`)
  }

  paragraph(text: string): void {
    this.#write(`\n${text}`)
  }
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const paragraph of text.split('\n')) {
    let line = ''
    for (const word of paragraph.split(' ')) {
      if (line !== '' && line.length + word.length + 1 > width) {
        lines.push(line)
        line = word
      } else {
        line = line === '' ? word : `${line} ${word}`
      }
    }
    lines.push(line)
  }
  return lines
}
