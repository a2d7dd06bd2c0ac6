import type { ReceiptUpdate } from '#src/model/session-store.ts'
import { byteaArray, int2Array, int4Array, int8Array, textArray, timestampArray, uuidArray } from './binary-array.ts'
import type { SealedChanges } from './sealed-changes.ts'

/**
 * The whole flush: one statement, hence one transaction and one round trip.
 *
 * Rows name their session by its place in the arrays of sessions. `accepted` tells for each place whether its epoch still
 * stands, and keeps it standing until the commit: a claim waits for the lock, or the lock finds the new epoch. A row of a
 * session that is not accepted is passed over, those of the others are not.
 *
 * Run again, it changes nothing that it has changed before and appends no event again: keys are overwritten with the
 * same value, messages and journal entries are there already, and a status moves forward only.
 *
 * A message goes to the contact that its contact has been merged into; the lock keeps a merge from passing it by. One
 * that is stored as pending takes its content over in place.
 */
const TEXT = `
with accepted as materialized (
  select array_agg(coalesce(lease.is_held, false) order by owner.place) as places
  from unnest($1::uuid[], $3::int8[]) with ordinality as owner (session_id, epoch, place)
  left join lateral (
    select true as is_held from session_lease
    where session_lease.session_id = owner.session_id and session_lease.epoch = owner.epoch
    for share
  ) as lease on true
), written_keys as (
  insert into signal_key (session_id, kind, id, value)
  select ($1::uuid[])[place], kind, id, value
  from unnest($4::int4[], $5::int2[], $6::text[], $7::bytea[]) as key (place, kind, id, value)
  where ((select places from accepted))[place]
  on conflict (session_id, kind, id) do update set value = excluded.value
), deleted_keys as (
  delete from signal_key where ctid = any (array(
    select stored.ctid
    from unnest($8::int4[], $9::int2[], $10::text[]) as key (place, kind, id)
    -- The limit leaves the planner no choice but to look each key up: see the receipts below.
    cross join lateral (
      select ctid from signal_key
      where signal_key.session_id = ($1::uuid[])[key.place] and signal_key.kind = key.kind and signal_key.id = key.id
      limit 1
    ) as stored
    where ((select places from accepted))[key.place]
  ))
), journalled as (
  insert into journal (session_id, ciphertext_hash, plaintext)
  select ($1::uuid[])[place], ciphertext_hash, plaintext
  from unnest($11::int4[], $12::bytea[], $13::bytea[]) as entry (place, ciphertext_hash, plaintext)
  where ((select places from accepted))[place]
  on conflict (session_id, ciphertext_hash) do nothing
), received as (
  insert into message (id, company_id, session_id, contact_id, direction, origin, whatsapp_id, status, content, raw,
    envelope, ciphertext_hash, is_answerable, sent_at, delivered_at, read_at)
  select new.id, ($2::uuid[])[place], ($1::uuid[])[place], contact.canonical_id, direction, origin, whatsapp_id, status,
    content::jsonb, raw, envelope::jsonb, ciphertext_hash, is_answerable = 1, sent_at, delivered_at, read_at
  from unnest($14::int4[], $15::uuid[], $16::uuid[], $17::text[], $18::text[], $19::text[], $20::text[], $21::text[],
    $22::bytea[], $23::text[], $24::bytea[], $25::int2[], $26::timestamptz[], $27::timestamptz[], $28::timestamptz[])
    as new (place, id, contact_id, direction, origin, whatsapp_id, status, content, raw, envelope, ciphertext_hash,
      is_answerable, sent_at, delivered_at, read_at)
  left join lateral (
    select coalesce(contact.merged_into, contact.id) as canonical_id from contact
    where contact.id = new.contact_id
    for key share
  ) as contact on true
  where ((select places from accepted))[place]
  on conflict (session_id, direction, whatsapp_id, contact_id) do update set
    content = excluded.content, raw = excluded.raw, envelope = excluded.envelope,
    ciphertext_hash = excluded.ciphertext_hash, is_answerable = excluded.is_answerable
  where message.content->>'kind' = 'pending' and (excluded.content->>'kind' <> 'pending'
    or (excluded.content->>'reason' = 'undecryptable' and message.content->>'reason' <> 'undecryptable'))
  returning id, company_id, session_id, contact_id, direction, ciphertext_hash, is_answerable,
    -- A row that was there carries the lock that the update took on it.
    case when xmax = 0 then 'received' when content->>'kind' = 'pending' then 'undecryptable' else 'resolved' end as news
), kept as (
  insert into sent_plaintext (session_id, whatsapp_id, recipient, plaintext)
  select ($1::uuid[])[place], whatsapp_id, recipient, plaintext
  from unnest($35::int4[], $36::text[], $37::text[], $38::bytea[]) as sent (place, whatsapp_id, recipient, plaintext)
  where ((select places from accepted))[place]
  on conflict (session_id, whatsapp_id) do nothing
), moved as (
  update message set
    status = receipt.status,
    sent_at = coalesce(message.sent_at, receipt.sent_at),
    delivered_at = coalesce(message.delivered_at, receipt.delivered_at),
    read_at = coalesce(message.read_at, receipt.read_at),
    error_code = null,
    next_attempt_at = null
  from unnest($29::int4[], $30::text[], $31::text[], $32::timestamptz[], $33::timestamptz[], $34::timestamptz[])
    as receipt (place, whatsapp_id, status, sent_at, delivered_at, read_at)
  where ((select places from accepted))[place]
    -- As a subquery, so that each receipt looks its message up: as a join, one walk over all outbound messages looks
    -- cheaper to the planner while the table is small, and stays the plan when it has grown.
    and message.id = (
      select outbound.id from message outbound
      where outbound.session_id = ($1::uuid[])[place] and outbound.direction = 'outbound'
        and outbound.whatsapp_id = receipt.whatsapp_id
      limit 1
    )
    -- What counted as failed and is acknowledged after all has come through.
    and array_position(array['sent', 'delivered', 'read', 'played'], receipt.status)
      > coalesce(array_position(array['sent', 'delivered', 'read', 'played'], message.status), 0)
  returning message.id, message.company_id, message.session_id, message.contact_id, message.whatsapp_id, message.status
), announced as (
  insert into event (company_id, type, session_id, subject_id, data)
  select company_id, 'message.' || news, session_id, id,
    jsonb_build_object('contactId', contact_id, 'direction', direction, 'isAnswerable', is_answerable)
  from received
  union all
  select company_id, 'message.status_changed', session_id, id, jsonb_build_object('status', status) from moved
)
select
  (select places from accepted) as accepted,
  (select json_agg(json_build_array(id, contact_id)) from received where news = 'received') as received,
  (select json_agg(json_build_array(session_id, encode(ciphertext_hash, 'hex'), id, contact_id))
    from received where news = 'resolved') as resolved,
  (select json_agg(json_build_array(session_id, id, contact_id, whatsapp_id, status)) from moved) as moved`

export interface FlushResult {
  /** For each session in the order given: whether its lease still stood. Only then its rows are committed. */
  accepted: boolean[]
  /** Ids of messages that are new, with the canonical contact. */
  received: [id: string, contactId: string][] | null
  /** Messages whose pending row has their content now; the row is found by the hash of their ciphertext. */
  resolved: [sessionId: string, ciphertextHash: string, id: string, contactId: string][] | null
  /** Messages whose status has moved. */
  moved:
    | [sessionId: string, id: string, contactId: string, whatsappId: string, status: ReceiptUpdate['status']][]
    | null
}

/** The statement that commits these changes. Prepared under a name, since planning it costs more than running it. */
export function flushStatement(changes: readonly SealedChanges[]): { name: string; text: string; values: Buffer[] } {
  const sessions = changes.map(({ session }) => session)
  const keys = placed(changes, (of) => of.keys)
  const deleted = placed(changes, (of) => of.deletedKeys)
  const journal = placed(changes, (of) => of.journal)
  const messages = placed(changes, (of) => of.messages)
  const receipts = placed(changes, (of) => of.receipts)
  const sent = placed(changes, (of) => of.sent)
  const values = [
    uuidArray(sessions.map(({ sessionId }) => sessionId)),
    uuidArray(sessions.map(({ companyId }) => companyId)),
    int8Array(sessions.map(({ epoch }) => epoch)),
    keys.places,
    int2Array(keys.rows.map(({ kind }) => kind)),
    textArray(keys.rows.map(({ id }) => id)),
    byteaArray(keys.rows.map(({ value }) => value)),
    deleted.places,
    int2Array(deleted.rows.map(({ kind }) => kind)),
    textArray(deleted.rows.map(({ id }) => id)),
    journal.places,
    byteaArray(journal.rows.map(({ ciphertextHash }) => ciphertextHash)),
    byteaArray(journal.rows.map(({ plaintext }) => plaintext)),
    messages.places,
    uuidArray(messages.rows.map(({ message }) => message.id)),
    uuidArray(messages.rows.map(({ message }) => message.contactId)),
    textArray(messages.rows.map(({ message }) => message.direction)),
    textArray(messages.rows.map(({ message }) => message.origin)),
    textArray(messages.rows.map(({ whatsappId }) => whatsappId)),
    textArray(messages.rows.map(({ status }) => status)),
    textArray(messages.rows.map(({ content }) => content)),
    byteaArray(messages.rows.map(({ message }) => message.raw)),
    textArray(messages.rows.map(({ envelope }) => envelope)),
    byteaArray(messages.rows.map(({ message }) => message.ciphertextHash)),
    int2Array(messages.rows.map(({ isAnswerable }) => (isAnswerable ? 1 : 0))),
    timestampArray(messages.rows.map(({ sentAt }) => sentAt)),
    timestampArray(messages.rows.map(({ deliveredAt }) => deliveredAt)),
    timestampArray(messages.rows.map(({ readAt }) => readAt)),
    receipts.places,
    textArray(receipts.rows.map(({ whatsappId }) => whatsappId)),
    textArray(receipts.rows.map(({ status }) => status)),
    timestampArray(receipts.rows.map(({ sentAt }) => sentAt)),
    timestampArray(receipts.rows.map(({ deliveredAt }) => deliveredAt)),
    timestampArray(receipts.rows.map(({ readAt }) => readAt)),
    sent.places,
    textArray(sent.rows.map(({ whatsappId }) => whatsappId)),
    textArray(sent.rows.map(({ recipient }) => recipient)),
    byteaArray(sent.rows.map(({ plaintext }) => plaintext)),
  ]
  return { name: 'frontdesk_flush', text: TEXT, values }
}

/** The rows of all sessions in one list, with each row's session by its place, counted from 1 as Postgres does. */
function placed<Row>(
  changes: readonly SealedChanges[],
  rowsOf: (changes: SealedChanges) => readonly Row[],
): { places: Buffer; rows: Row[] } {
  const rows = changes.flatMap((of) => rowsOf(of))
  const places = changes.flatMap((of, index) => rowsOf(of).map(() => index + 1))
  return { places: int4Array(places), rows }
}
