import { RE2JS, RE2JSException } from 're2js'

/** Instructions that a pattern may compile to: searching a text takes so many steps for each character at most. */
const MOST_INSTRUCTIONS = 500

/** A pattern that is searched for in time that grows with the text's length only, whatever is in both. */
export interface Pattern {
  /** Where it stands first in the text; -1 where it does not. */
  search: (text: string) => number
}

/** The pattern, or what is wrong with it, in words that go on from "The pattern". */
export function compilePattern(source: string, { isCaseSensitive = false } = {}): Pattern | { problem: string } {
  let compiled: RE2JS
  try {
    compiled = RE2JS.compile(source, isCaseSensitive ? 0 : RE2JS.CASE_INSENSITIVE)
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error
    return {
      problem: 'must be a regular expression in the syntax of RE2, which has no look-around and no back-reference',
    }
  }
  if (compiled.programSize() > MOST_INSTRUCTIONS) {
    return {
      problem: `is too large: it compiles to ${compiled.programSize()} steps, and ${MOST_INSTRUCTIONS} are allowed`,
    }
  }
  return {
    search(text) {
      const matcher = compiled.matcher(text)
      return matcher.find() ? matcher.start() : -1
    },
  }
}
