import { wordsOf } from '../words.ts'

/** So many letters in a row are no coincidence. */
const RULES_RUN = 48
/** A company may well have told the model what to say, in a sentence or three; a whole page of it is another thing. */
const INSTRUCTIONS_RUN = 240

/** Whether the answer repeats what the model was told about how to answer. Letter case, spaces and marks make no difference. */
export function repeatsPrompt(
  answer: string,
  { rules, instructions }: { rules: string; instructions: string },
): boolean {
  const said = lettersOf(answer)
  return sharesRun(said, lettersOf(rules), RULES_RUN) || sharesRun(said, lettersOf(instructions), INSTRUCTIONS_RUN)
}

const lettersOf = (text: string): string => wordsOf(text.replace(/\p{Cf}/gu, '')).join('')

function sharesRun(said: string, told: string, length: number): boolean {
  // Any run of the length holds one of these that begins at a multiple of half of it.
  const half = length / 2
  for (let from = 0; from + half <= told.length; from += half) {
    for (
      let at = said.indexOf(told.slice(from, from + half));
      at >= 0;
      at = said.indexOf(told.slice(from, from + half), at + 1)
    ) {
      if (runAround(said, at, told, from, half) >= length) return true
    }
  }
  return false
}

/** How long the run is that the two have in common, around one of which so many letters are known. */
function runAround(said: string, at: number, told: string, from: number, known: number): number {
  let before = 0
  while (at > before && from > before && said[at - before - 1] === told[from - before - 1]) before += 1
  let after = known
  while (at + after < said.length && from + after < told.length && said[at + after] === told[from + after]) after += 1
  return before + after
}
