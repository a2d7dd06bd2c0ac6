import { type Kysely, sql } from 'kysely'
import type { Sealer } from '#src/model/sealing.ts'
import type { Schema } from './schema-types.ts'
import { SEALED_COLUMNS, type SealedColumn } from './sealed-columns.ts'

/** Short statements: nobody waits long for a row. */
const VALUES_AT_ONCE = 500

export interface ResealOptions {
  companyId: string
  /** The number of the company's current key: what another has sealed is sealed anew. */
  keyNumber: number
  sealer: Sealer
  /** Told of each batch: how many values were sealed anew. */
  onResealed?: (values: number) => void
}

/**
 * Goes once through everything of a company that is sealed, and seals anew what an older key has sealed. Never replaces
 * a value that has changed meanwhile, and waits for no lock, so that it can be in nobody's way for long; a value that is
 * being written is left for the next pass. Returns how many were found under an older key.
 */
export async function resealCompany(db: Kysely<Schema>, options: ResealOptions): Promise<number> {
  let found = 0
  for (const owner of ['company', 'session', 'webhook_endpoint'] as const) {
    const columns = SEALED_COLUMNS.filter(({ of }) => of === owner)
    const owners =
      owner === 'company'
        ? [{ id: options.companyId }]
        : await db.selectFrom(owner).select('id').where('company_id', '=', options.companyId).execute()
    for (const [id, column] of owners.flatMap((each) => columns.map((of) => [each.id, of] as const))) {
      for (;;) {
        const batch = await resealBatch(db, column, id, options)
        found += batch.found
        // Whatever is left is being written just now.
        if (batch.resealed < VALUES_AT_ONCE) break
      }
    }
  }
  return found
}

async function resealBatch(
  db: Kysely<Schema>,
  { table, column, owner, parts, contextOf }: SealedColumn,
  ownerId: string,
  { keyNumber, sealer, onResealed }: ResealOptions,
): Promise<{ found: number; resealed: number }> {
  const [from, value] = [sql.table(table), sql.ref(column)]
  const others = parts.map((part) => sql`, ${sql.ref(part)}`)
  const { rows } = await sql<{ place: string; value: Uint8Array } & Record<string, unknown>>`
    select ctid::text as place, ${value} as value ${sql.join(others, sql``)} from ${from}
    where ${sql.ref(owner)} = ${ownerId} and sealed_key_number(${value}) <> ${keyNumber}
    limit ${VALUES_AT_ONCE}`.execute(db)
  if (rows.length === 0) return { found: 0, resealed: 0 }
  const fresh: Uint8Array[] = []
  for (const row of rows) {
    const context = contextOf(ownerId, row)
    fresh.push(sealer.seal(await sealer.open(row.value, context), context))
  }
  const { numAffectedRows = 0n } = await sql`
    with unchanged as materialized (
      select stored.ctid as place, fresh.value
      from unnest(${rows.map(({ place }) => place)}::text[]::tid[], ${rows.map((row) => row.value)}::bytea[],
        ${fresh}::bytea[]) as fresh (place, old, value)
      join ${from} as stored on stored.ctid = fresh.place and stored.${value} = fresh.old
      for update of stored skip locked
    )
    update ${from} as stored set ${value} = unchanged.value from unchanged where stored.ctid = unchanged.place`.execute(
    db,
  )
  const resealed = Number(numAffectedRows)
  onResealed?.(resealed)
  return { found: rows.length, resealed }
}
