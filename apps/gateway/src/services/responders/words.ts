// Scripts that are written without spaces count each character as a word, so that a keyword is found inside a sentence.
const WORD =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]|[\p{L}\p{N}\p{M}]+|\p{Extended_Pictographic}/gu

const LATIN_ACCENTS = /[\u0300-\u036F]/g

/** The words of a text, in a form in which letter case, accents, width and punctuation make no difference. */
export function wordsOf(text: string): string[] {
  const folded = text
    // Upper case first: it is what makes ß equal to ss, and the dotless i equal to i.
    .toUpperCase()
    .toLowerCase()
    .normalize('NFKD')
    .replace(LATIN_ACCENTS, '')
    .normalize('NFC')
  return folded.match(WORD) ?? []
}
