import { type Kysely, sql, type Transaction } from 'kysely'
import { DatabaseError } from 'pg'
import { BoundedCache } from '#src/model/bounded-cache.ts'
import type { ContactBook } from '#src/model/contact-book.ts'
import { newId } from '#src/model/ids.ts'
import { sanitizeName } from '#src/model/text.ts'
import type { WhatsAppAddress } from '#src/model/whatsapp-address.ts'
import type { Database } from './database.ts'
import { ContactChangedError, mergeContacts } from './merge-contacts.ts'
import { newestAlias } from './newest-alias.ts'
import type { Schema } from './schema-types.ts'

const MAX_CACHED_ADDRESSES = 1_000
const CACHED_MS = 60 * 60 * 1000
const MAX_TRIES = 8
const UNIQUE_VIOLATION = '23505'
const RETRIED = new Set([UNIQUE_VIOLATION, '40001', '40P01'])

export interface Contact {
  id: string
  name: string | null
  /** Of several addresses of a kind, the newest. */
  address: WhatsAppAddress
  /** Since when the contact wants no messages. */
  optedOutAt: Date | null
}

interface Cached {
  contactId: string
  name: string | undefined
}

/** A company's contacts as its session host sees them. Answers at once for addresses met lately. */
export function createContactBook({ worker }: Database, companyId: string): ContactBook {
  const cache = new BoundedCache<Cached>({ maxEntries: MAX_CACHED_ADDRESSES, ttlMs: CACHED_MS })
  // A customer's burst asks for the same new contact several times. Entries go when they are answered.
  const underWay = new Map<string, Promise<string>>()

  const resolve = async (address: WhatsAppAddress, name: string | undefined): Promise<string> => {
    const contactId = await resolveContact(worker, companyId, address, name)
    for (const key of cacheKeys(address)) cache.set(key, { contactId, name: name ?? cache.get(key)?.name })
    return contactId
  }
  return {
    contactOf(address, givenName) {
      const name = sanitizeName(givenName ?? '')
      const keys = cacheKeys(address)
      const [first, second] = keys.map((key) => cache.get(key))
      const isKnown = first !== undefined && (keys.length === 1 || second?.contactId === first.contactId)
      if (isKnown && (name === undefined || name === first.name)) return first.contactId
      const question = JSON.stringify([keys, name])
      const asked = underWay.get(question)
      if (asked) return asked
      const answer = resolve(address, name).finally(() => underWay.delete(question))
      underWay.set(question, answer)
      return answer
    },
  }
}

/** A contact by its id, or by the id of one that was merged into it. */
export async function contactById(
  companyId: string,
  db: Kysely<Schema>,
  contactId: string,
): Promise<Contact | undefined> {
  const { rows } = await sql<{
    id: string
    name: string | null
    opted_out_at: Date | null
    phone: string | null
    lid: string | null
  }>`
    select contact.id, contact.name, contact.opted_out_at, ${newestAlias('phone', sql`contact.id`)} as phone, ${newestAlias('lid', sql`contact.id`)} as lid
    from contact as asked join contact on contact.id = coalesce(asked.merged_into, asked.id)
    where asked.company_id = ${companyId} and asked.id = ${contactId}`.execute(db)
  const [row] = rows
  if (row === undefined) return undefined
  const address = { ...(row.phone !== null && { phone: row.phone }), ...(row.lid !== null && { lid: row.lid }) }
  return { id: row.id, name: row.name, address, optedOutAt: row.opted_out_at }
}

const cacheKeys = ({ phone, lid }: WhatsAppAddress): string[] => [
  ...(lid === undefined ? [] : [`lid/${lid}`]),
  ...(phone === undefined ? [] : [`phone/${phone}`]),
]

async function resolveContact(
  worker: Kysely<Schema>,
  companyId: string,
  address: WhatsAppAddress,
  name: string | undefined,
): Promise<string> {
  const known = await knownContact(worker, companyId, address, name)
  if (known !== undefined) return known
  for (let attempt = 1; ; attempt++) {
    try {
      return await worker.transaction().execute((db) => findOrCreate(companyId, db, address, name))
    } catch (error) {
      // Somebody else has met, or merged, the same contact at the same moment. The next look sees what they did.
      const isRace =
        error instanceof ContactChangedError || (error instanceof DatabaseError && RETRIED.has(error.code ?? ''))
      if (!isRace || attempt === MAX_TRIES) throw error
    }
  }
}

/** The contact where nothing of it is new, which is mostly so: without a transaction. */
async function knownContact(
  worker: Kysely<Schema>,
  companyId: string,
  { phone, lid }: WhatsAppAddress,
  name: string | undefined,
): Promise<string | undefined> {
  const aliases = await readAliases(companyId, worker, phone, lid)
  const [first] = aliases
  const asked = [phone, lid].filter((value) => value !== undefined).length
  if (first === undefined || aliases.length < asked) return undefined
  if (name !== undefined && name !== first.name) return undefined
  return aliases.every(({ contact_id }) => contact_id === first.contact_id) ? first.contact_id : undefined
}

/**
 * The LID is the account, the phone number is what it is reached by now. So a number that comes with a new LID has a new
 * owner: it moves to that account's contact, and the conversation with its former owner stays where it is.
 */
async function findOrCreate(
  companyId: string,
  db: Transaction<Schema>,
  { phone, lid }: WhatsAppAddress,
  name: string | undefined,
): Promise<string> {
  const aliases = await readAliases(companyId, db, phone, lid)
  const byPhone = aliases.find(({ kind }) => kind === 'phone')
  const byLid = aliases.find(({ kind }) => kind === 'lid')
  const hasMoved = byPhone !== undefined && lid !== undefined && byPhone.lid !== null && byPhone.lid !== lid
  const contact = byLid ?? (hasMoved ? undefined : byPhone)

  if (contact !== undefined && byPhone !== undefined && byPhone.contact_id !== contact.contact_id && !hasMoved) {
    if (name !== undefined) await setName(db, contact.contact_id, name)
    return await mergeContacts(companyId, db, contact.contact_id, byPhone.contact_id)
  }
  const contactId = contact?.contact_id ?? newId()
  if (contact === undefined) {
    await db
      .insertInto('contact')
      .values({ id: contactId, company_id: companyId, name: name ?? null })
      .execute()
  } else {
    await keepFromMerging(db, contactId)
    if (name !== undefined && name !== contact.name) await setName(db, contactId, name)
  }
  if (lid !== undefined && byLid === undefined) await addAlias(companyId, db, contactId, 'lid', lid)
  if (phone !== undefined && byPhone === undefined) await addAlias(companyId, db, contactId, 'phone', phone)
  if (phone !== undefined && hasMoved) await movePhone(companyId, db, contactId, phone)
  return contactId
}

async function setName(db: Transaction<Schema>, contactId: string, name: string): Promise<void> {
  await db.updateTable('contact').set({ name }).where('id', '=', contactId).execute()
}

async function readAliases(companyId: string, db: Kysely<Schema>, phone: string | undefined, lid: string | undefined) {
  const { rows } = await sql<{
    kind: 'phone' | 'lid'
    value: string
    contact_id: string
    name: string | null
    /** The account's LID as far as it is known. */
    lid: string | null
  }>`
    select alias.kind, alias.value, contact.id as contact_id, contact.name, ${newestAlias('lid', sql`contact.id`)} as lid
    from contact_alias alias join contact on contact.id = alias.contact_id
    where alias.company_id = ${companyId}
      and (alias.kind, alias.value) in (('phone', ${phone ?? ''}), ('lid', ${lid ?? ''}))`.execute(db)
  return rows
}

/** An alias added to a contact that is being merged would be left behind on the one that is gone. */
async function keepFromMerging(db: Transaction<Schema>, contactId: string): Promise<void> {
  const { rows } = await sql<{ merged_into: string | null }>`
    select merged_into from contact where id = ${contactId} for key share`.execute(db)
  if (rows[0]?.merged_into !== null) throw new ContactChangedError()
}

/** Fails if somebody else has met the address at the same moment. */
async function addAlias(
  companyId: string,
  db: Transaction<Schema>,
  contactId: string,
  kind: 'phone' | 'lid',
  value: string,
): Promise<void> {
  await db.insertInto('contact_alias').values({ company_id: companyId, kind, value, contact_id: contactId }).execute()
}

/** Takes the phone number away from the contact that had it. */
async function movePhone(companyId: string, db: Transaction<Schema>, contactId: string, phone: string): Promise<void> {
  await sql`
    update contact_alias set contact_id = ${contactId}, created_at = now()
    where company_id = ${companyId} and kind = 'phone' and value = ${phone}`.execute(db)
}
