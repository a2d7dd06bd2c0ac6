/**
 * The number as WhatsApp knows it, E.164 digits without the plus, from the ways in which people write international
 * numbers. Undefined when it cannot be one: a national number, too few or too many digits, other characters.
 */
export function parsePhoneNumber(text: string): string | undefined {
  const digits = text
    .trim()
    .replace(/^\+/, '')
    .replace(/[\s()./\u00A0\u2010-\u2015-]/g, '')
  return /^[1-9]\d{6,14}$/.test(digits) ? digits : undefined
}
