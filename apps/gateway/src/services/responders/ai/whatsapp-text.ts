/** In place of what must not be read as markup again. */
const BOLD = '\uE000'

/**
 * The text that a model wrote, as WhatsApp shows it: models write Markdown, whatever they are told, and WhatsApp has marks
 * of its own.
 */
export function whatsappText(markdown: string): string {
  return markdown
    .split(/(```[\s\S]*?(?:```|$))/)
    .map((part, index) => (index % 2 === 1 ? part.replace(/^```[\w+-]*\n/, '```\n') : convert(part)))
    .join('')
    .trim()
}

const convert = (text: string): string =>
  text
    .replaceAll(BOLD, '')
    .replace(/<br\s*\/?>/gi, '\n')
    // Rules, and what is under the head of a table.
    .replace(/^[ \t]*(?:[-*_][ \t]*){3,}$/gm, '')
    .replace(/^[ \t]*\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-{2,}:?[ \t]*)*\|?[ \t]*(?:\n|$)/gm, '')
    .replace(/^[ \t]*\|(.+)\|[ \t]*$/gm, (_, cells: string) =>
      cells
        .split('|')
        .map((cell) => cell.trim())
        .join(' – '),
    )
    .replace(/^[ \t]*#{1,6}[ \t]+(.+?)[ \t]*#*$/gm, (_, title: string) => `**${title.replaceAll('**', '')}**`)
    .replace(/!?\[([^\]\n]*)\]\((https?:[^\s)]+)(?:[ \t]+"[^"\n]*")?\)/g, (_, label: string, url: string) =>
      label === '' || label === url ? url : `${label}: ${url}`,
    )
    .replace(/^([ \t]*)[*+][ \t]+/gm, '$1- ')
    .replace(/(\*\*|__)(?=\S)([^\n]*?\S)\1/g, `${BOLD}$2${BOLD}`)
    .replace(/(?<![\w*])\*(?=\S)([^*\n]*?\S)\*(?![\w*])/g, '_$1_')
    .replaceAll(BOLD, '*')
    .replace(/~~(?=\S)([^\n]*?\S)~~/g, '~$1~')
    .replace(/\n{3,}/g, '\n\n')
