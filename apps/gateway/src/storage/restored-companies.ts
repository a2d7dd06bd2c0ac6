import type { Transaction } from 'kysely'
import type { Sealer } from '#src/model/sealing.ts'
import { storableJson } from '#src/model/storable-text.ts'
import type { ReadBackupRecord } from './backup-records.ts'
import type { WrappedDataKeys } from './data-keys.ts'
import type { Schema } from './schema-types.ts'
import { companySecretContext, webhookSecretsContext } from './sealed-columns.ts'

/** A company as it was. */
export interface RestoredCompany {
  id: string
  name: string
  settings: Record<string, unknown>
  createdAt: Date
}

/**
 * Creates the company, or gives the one that is there its former name and settings if they are wanted. It is kept from
 * other changes until the transaction ends.
 */
export async function putRestoredCompany(
  db: Transaction<Schema>,
  { id, name, settings, createdAt }: RestoredCompany,
  { newDataKey, withSettings }: { newDataKey: Uint8Array; withSettings: boolean },
): Promise<{ isNew: boolean; dataKey: WrappedDataKeys }> {
  const values = { name, settings: storableJson(settings) }
  const created = await db
    .insertInto('company')
    .values({ id, ...values, data_key: newDataKey, created_at: createdAt })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .returning('id')
    .execute()
  const dataKey = await db
    .selectFrom('company')
    .select(['data_key', 'former_data_key'])
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirstOrThrow()
  if (created.length > 0) return { isNew: true, dataKey }
  if (withSettings) await db.updateTable('company').set(values).where('id', '=', id).execute()
  return { isNew: false, dataKey }
}

/** A secret that settings name. One of that name which the company has now stays: it is newer. */
export async function putRestoredSecret(
  companyId: string,
  db: Transaction<Schema>,
  { name, hint, value }: Extract<ReadBackupRecord, { type: 'secret' }>,
  sealer: Sealer,
): Promise<void> {
  const sealed = sealer.seal(value, companySecretContext(companyId, name))
  await db
    .insertInto('company_secret')
    .values({ company_id: companyId, name, hint, value: sealed })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/** A contact, or an address of one, of a company that was just created. */
export async function putRestoredContact(
  companyId: string,
  db: Transaction<Schema>,
  record: Extract<ReadBackupRecord, { type: 'contact' | 'alias' }>,
): Promise<void> {
  const common = { company_id: companyId, created_at: new Date(record.createdAt) }
  if (record.type === 'contact') {
    const { id, name, mergedInto, optedOutAt } = record
    await db
      .insertInto('contact')
      .values({ ...common, id, name, merged_into: mergedInto, opted_out_at: optedOutAt ? new Date(optedOutAt) : null })
      .execute()
  } else {
    const { kind, value, contactId } = record
    await db
      .insertInto('contact_alias')
      .values({ ...common, kind, value, contact_id: contactId })
      .execute()
  }
}

/** A webhook endpoint. One that is there stays as it is: its secrets may have been replaced since. */
export async function putRestoredEndpoint(
  companyId: string,
  db: Transaction<Schema>,
  record: Extract<ReadBackupRecord, { type: 'webhookEndpoint' }>,
  sealer: Sealer,
): Promise<void> {
  const { id, url, eventTypes, ordering, isEnabled, secrets, createdAt } = record
  await db
    .insertInto('webhook_endpoint')
    .values({
      ...{ id, company_id: companyId, url, event_types: eventTypes, ordering, is_enabled: isEnabled },
      secrets: sealer.seal(secrets, webhookSecretsContext(id)),
      created_at: new Date(createdAt),
    })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .execute()
}
