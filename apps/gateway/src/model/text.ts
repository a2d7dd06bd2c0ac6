const NUL = '\u0000'

// Tab and newline stay. The bidirectional ones are embeddings, overrides and isolates, which can make a text read
// otherwise than it is written; the marks LRM, RLM and ALM are harmless and common in right-to-left languages.
const UNWANTED = /[\p{Cc}\u202A-\u202E\u2066-\u2069]/gu

/** Most texts are of Latin letters, and have nothing of all that. */
const PLAIN = /^[\t\n -~\u00A0-\u02FF]*$/

/** More marks on one letter than any language writes make towers that cover the lines around. */
const TOO_MANY_MARKS = /(\p{M}{16})\p{M}+/gu

/** Postgres stores neither text nor JSON with a NUL, and nobody means one: a request that holds it is refused. */
export const holdsNul = (text: string): boolean => text.includes(NUL)

/**
 * The text as it may be sent and shown: control characters other than tab and newline removed, also those that reorder
 * text; line ends as `\n`; halves of surrogate pairs, which no UTF-8 can carry, replaced; at most 16 marks on a letter.
 */
export const sanitizeText = (text: string): string =>
  PLAIN.test(text)
    ? text
    : text
        .replace(/\r\n?/g, '\n')
        .replace(UNWANTED, (character) => (character === '\t' || character === '\n' ? character : ''))
        .toWellFormed()
        .replace(TOO_MANY_MARKS, '$1')

const MAX_NAME_LENGTH = 200

/** The name that a stranger has given himself, as it may be shown: in one line, and not endless. Undefined when nothing is left. */
export const sanitizeName = (name: string): string | undefined =>
  sanitizeText(name).replaceAll(/\s+/g, ' ').trim().slice(0, MAX_NAME_LENGTH).toWellFormed().trimEnd() || undefined

/** Whether there is nothing in the text that a reader would see. WhatsApp does not deliver such a message. */
export const isBlank = (text: string): boolean => !/[^\s\p{Cf}\p{Cc}]/u.test(text)
