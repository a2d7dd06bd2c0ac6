import { KEY_KINDS, type KeyKind } from '#src/model/session-store.ts'
import { journalContext, keyContext, sentContext } from './writer/sealed-changes.ts'

const KIND_NAMES = new Map<number, KeyKind>(
  Object.entries(KEY_KINDS).map(([name, number]) => [number, name as KeyKind]),
)

/** A column whose values are sealed with the company's data key, and what binds each of them to its place. */
export interface SealedColumn {
  table: string
  column: string
  /** Whose values they are: things of a company, and the column that holds the thing's id. */
  of: 'company' | 'session' | 'webhook_endpoint'
  owner: 'id' | 'session_id' | 'company_id'
  /** The columns that the context is made of, besides the owner. */
  parts: readonly string[]
  contextOf: (ownerId: string, parts: Readonly<Record<string, unknown>>) => string
}

export const linkingCodeContext = (sessionId: string): string => `session/${sessionId}/linking-code`

export const webhookSecretsContext = (endpointId: string): string => `webhook-endpoint/${endpointId}/secrets`

export const companySecretContext = (companyId: string, name: string): string => `company/${companyId}/secret/${name}`

export const proxyContext = (sessionId: string): string => `session/${sessionId}/proxy`

/** `keyContext` by the kind's number, as it is stored. */
export const signalKeyContext = (sessionId: string, kind: number, id: string): string =>
  keyContext(sessionId, kindName(kind), id)

/** All of them. What a data key has sealed anywhere else would be lost when the key is rotated. */
export const SEALED_COLUMNS: readonly SealedColumn[] = [
  ...['signal_key', 'retired_signal_key'].map(
    (table): SealedColumn => ({
      table,
      column: 'value',
      of: 'session',
      owner: 'session_id',
      parts: ['kind', 'id'],
      contextOf: (sessionId, { kind, id }) => signalKeyContext(sessionId, Number(kind), String(id)),
    }),
  ),
  {
    table: 'journal',
    column: 'plaintext',
    of: 'session',
    owner: 'session_id',
    parts: ['ciphertext_hash'],
    contextOf: (sessionId, { ciphertext_hash }) => journalContext(sessionId, ciphertext_hash as Uint8Array),
  },
  {
    table: 'sent_plaintext',
    column: 'plaintext',
    of: 'session',
    owner: 'session_id',
    parts: ['whatsapp_id'],
    contextOf: (sessionId, { whatsapp_id }) => sentContext(sessionId, String(whatsapp_id)),
  },
  { table: 'session', column: 'linking_code', of: 'session', owner: 'id', parts: [], contextOf: linkingCodeContext },
  { table: 'session', column: 'proxy', of: 'session', owner: 'id', parts: [], contextOf: proxyContext },
  {
    table: 'webhook_endpoint',
    column: 'secrets',
    of: 'webhook_endpoint',
    owner: 'id',
    parts: [],
    contextOf: webhookSecretsContext,
  },
  {
    table: 'company_secret',
    column: 'value',
    of: 'company',
    owner: 'company_id',
    parts: ['name'],
    contextOf: (companyId, { name }) => companySecretContext(companyId, String(name)),
  },
]

/** A kind of key by its number. */
export function kindName(number: number): KeyKind {
  const name = KIND_NAMES.get(number)
  if (name === undefined) throw new Error(`there is no kind of key with number ${number}`)
  return name
}
