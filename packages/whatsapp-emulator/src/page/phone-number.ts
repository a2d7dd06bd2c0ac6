import type { Phone } from '../control/control.ts'

/** Numbers that look like a company's and a customer's, for someone who has none at hand. */
const COMPANY_STEM = '4917000000'
const CUSTOMER = '491711111111'

/** Thrown for what is not a phone number; the message tells a person what to type instead. */
export class InvalidPhoneNumber extends Error {
  override readonly name = 'InvalidPhoneNumber'
}

/** The digits of what a person typed, with the country code first. Throws `InvalidPhoneNumber`. */
export function parsePhoneNumber(typed: string): string {
  const digits = typed
    .trim()
    .replace(/[\s()./-]/g, '')
    .replace(/^(\+|00)/, '')
  if (!/^[1-9]\d{6,14}$/.test(digits)) {
    throw new InvalidPhoneNumber('Write the number with its country code, 7 to 15 digits, such as 491711111111.')
  }
  return digits
}

export function displayNumber(phone: string): string {
  return `+${phone}`
}

/** A company's number that has no linked device yet and is not in `taken`. */
export function suggestCompany(phones: readonly Phone[], taken: ReadonlySet<string>): string {
  const linked = new Set(phones.filter((phone) => phone.devices.length > 0).map((phone) => phone.phone))
  for (let last = 1; last < 100; last += 1) {
    const number = COMPANY_STEM + String(last).padStart(2, '0')
    if (!linked.has(number) && !taken.has(number)) return number
  }
  return `${COMPANY_STEM}01`
}

/** A phone to play the customer with: the first that has no linked device, else a new one. */
export function suggestCustomer(phones: readonly Phone[]): string {
  return phones.find((phone) => phone.devices.length === 0)?.phone ?? CUSTOMER
}
