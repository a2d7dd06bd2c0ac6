import { ERRORS, FrontdeskError } from '#src/model/errors.ts'

/** What a command says on standard output: sentences for people, or with --json one object a line for programs. */
export interface Output {
  readonly isJson: boolean
  /** A sentence for people; nothing with --json. */
  say(text: string): void
  /** A fact for programs; nothing without --json. */
  report(fact: { type: string } & Record<string, unknown>): void
  /** Always the last line of a command that failed. */
  fail(error: unknown): void
}

export function createOutput(isJson: boolean): Output {
  return {
    isJson,
    say: (text) => {
      if (!isJson) process.stdout.write(`${text}\n`)
    },
    report: (fact) => {
      if (isJson) process.stdout.write(`${JSON.stringify(fact)}\n`)
    },
    fail: (error) => {
      const { code, title, detail } = describeError(error)
      if (isJson) process.stdout.write(`${JSON.stringify({ type: 'error', code, title, detail })}\n`)
      else
        process.stderr.write(`frontdesk: ${title}${detail === undefined ? '' : `\n${detail.replace(/^/gm, '  ')}`}\n`)
    },
  }
}

function describeError(error: unknown): { code: string; title: string; detail?: string | undefined } {
  if (error instanceof FrontdeskError) {
    return { code: error.code, title: ERRORS[error.code].title, detail: error.detail }
  }
  const { title } = ERRORS.internal
  return { code: 'internal', title, detail: error instanceof Error ? error.message : String(error) }
}

/** What the shell is told: 2 when the command or a setting is wrong, 1 for every other failure. */
export const exitCodeOf = (error: unknown): number =>
  error instanceof FrontdeskError && (error.code === 'configuration_invalid' || error.code === 'command_invalid')
    ? 2
    : 1
