import { wordsOf } from './words.ts'

interface Entry {
  keyword: string
  words: string[]
}

/** Stands between two texts, so that no phrase is found across their border. */
const BORDER = ''

/**
 * Finds any number of keywords and phrases in one pass over a text, whatever their number: a hostile text costs no more
 * than its length.
 */
export class KeywordIndex {
  readonly #byFirstWord = new Map<string, Entry[]>()

  constructor(keywords: Iterable<string>) {
    for (const keyword of new Set(keywords)) {
      const words = wordsOf(keyword)
      const [first] = words
      if (first === undefined) continue
      const entries = this.#byFirstWord.get(first)
      if (entries === undefined) this.#byFirstWord.set(first, [{ keyword, words }])
      else entries.push({ keyword, words })
    }
  }

  /** Where each keyword that occurs stands first, counted in words over all texts. */
  find(texts: Iterable<string>): Map<string, number> {
    const found = new Map<string, number>()
    const words = [...texts].flatMap((text) => [...wordsOf(text), BORDER])
    for (const [position, word] of words.entries()) {
      for (const { keyword, words: wanted } of this.#byFirstWord.get(word) ?? []) {
        if (!found.has(keyword) && wanted.every((each, offset) => words[position + offset] === each)) {
          found.set(keyword, position)
        }
      }
    }
    return found
  }
}
