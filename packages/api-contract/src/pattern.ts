import { RE2JS, RE2JSException } from 're2js'

/** Of one pattern, for each character of a text. */
const MOST_STEPS = 500

/** A pattern that is searched for in time that grows with the text's length only, whatever is in both. */
export interface Pattern {
  /** What is wrong with it, in words that go on from "The pattern". Undefined: it can be searched for. */
  problem?: string
  /** How many each character of a text can take at most. */
  steps: number
  /** Where it stands first in the text; -1 where it does not. */
  search: (text: string) => number
}

export function compilePattern(source: string, { isCaseSensitive = false } = {}): Pattern {
  let compiled: RE2JS
  try {
    compiled = RE2JS.compile(source, isCaseSensitive ? 0 : RE2JS.CASE_INSENSITIVE)
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error
    return unusable('must be a regular expression in the syntax of RE2, which has no look-around and no back-reference')
  }
  const steps = compiled.programSize()
  if (steps > MOST_STEPS) return unusable(`is too large: it compiles to ${steps} steps, and ${MOST_STEPS} are allowed`)
  return {
    steps,
    search(text) {
      const matcher = compiled.matcher(text)
      return matcher.find() ? matcher.start() : -1
    },
  }
}

const unusable = (problem: string): Pattern => ({ problem, steps: 0, search: () => -1 })
