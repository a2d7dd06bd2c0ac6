import { ControlError } from '../control/control-error.ts'
import { parseUserJid, type UserJid } from '../wire/jids.ts'
import { Account } from './account.ts'
import type { Companion } from './companion.ts'

const PHONE_NUMBER = /^[1-9]\d{6,14}$/

/** Who is behind a JID. */
export interface Addressee extends UserJid {
  account: Account
}

/** Every number that was ever used in this emulator. It lives as long as the emulator does. */
export class Directory {
  #byPhone = new Map<string, Account>()
  #byLid = new Map<string, Account>()
  #byNoiseKey = new Map<string, Companion>()

  /** The account of a number, which comes into being on its first use. Throws `ControlError` when it is no number. */
  account(phone: string): Account {
    const known = this.#byPhone.get(phone)
    if (known) return known
    if (!PHONE_NUMBER.test(phone))
      throw new ControlError(
        `"${phone}" is not a phone number. Give 7 to 15 digits, country code first, without a leading zero or plus.`,
      )
    const account = new Account(phone)
    this.#byPhone.set(phone, account)
    this.#byLid.set(account.lid, account)
    return account
  }

  accounts(): Iterable<Account> {
    return this.#byPhone.values()
  }

  find(phone: string): Account | undefined {
    return this.#byPhone.get(phone)
  }

  /** Who a JID means: `undefined` for what is no person, for an impossible number and for a LID that nobody has. */
  resolve(jid: string | undefined): Addressee | undefined {
    const parsed = parseUserJid(jid)
    if (!parsed) return undefined
    const account = parsed.addressing === 'lid' ? this.#byLid.get(parsed.user) : this.#accountOrNone(parsed.user)
    return account && { ...parsed, account }
  }

  companionByNoiseKey(noiseKey: Buffer): Companion | undefined {
    return this.#byNoiseKey.get(noiseKey.toString('base64'))
  }

  addCompanion(companion: Companion): void {
    companion.account.companions.set(companion.id, companion)
    this.#byNoiseKey.set(companion.noiseKey.toString('base64'), companion)
  }

  removeCompanion(companion: Companion): void {
    companion.account.companions.delete(companion.id)
    this.#byNoiseKey.delete(companion.noiseKey.toString('base64'))
  }

  *companions(): Iterable<Companion> {
    yield* this.#byNoiseKey.values()
  }

  #accountOrNone(phone: string): Account | undefined {
    return PHONE_NUMBER.test(phone) ? this.account(phone) : undefined
  }
}
