import type { Contact, UpdateContact } from '@frontdesk/api-contract'
import { FrontdeskError } from '#src/model/errors.ts'
import type { Actor } from '#src/services/security/actor.ts'
import { appendAudit } from '#src/storage/audit.ts'
import { contactById } from '#src/storage/contacts.ts'
import type { Database } from '#src/storage/database.ts'
import { setOptOut } from '#src/storage/opt-outs.ts'

/** The people whom a company writes to, and whether they want that. */
export class ContactWishes {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** By the id of a contact, or of one that was merged into it. @throws FrontdeskError `not_found` */
  async get(companyId: string, contactId: string): Promise<Contact> {
    const contact = await this.#database.asCompany(companyId, (db) => contactById(companyId, db, contactId))
    if (contact === undefined) throw new FrontdeskError('not_found')
    const { id, name, address, optedOutAt } = contact
    const { phone = null, lid = null } = address
    return { id, phone, lid, name, optedOutAt: optedOutAt?.toISOString() ?? null }
  }

  /**
   * Whoever is opted out gets nothing any more: what waits for the contact fails. What is just leaving is not stopped.
   * @throws FrontdeskError `not_found`
   */
  async update(companyId: string, contactId: string, change: UpdateContact, { apiKeyId }: Actor): Promise<Contact> {
    const { id } = await this.get(companyId, contactId)
    const { isOptedOut } = change
    await this.#database.worker.transaction().execute(async (db) => {
      if (!(await setOptOut(companyId, db, { contactId: id, isOptedOut }))) return
      const detail = { isOptedOut }
      await appendAudit(db, { companyId, apiKeyId, action: 'contact.updated', subjectId: id, detail })
    })
    return await this.get(companyId, id)
  }
}
