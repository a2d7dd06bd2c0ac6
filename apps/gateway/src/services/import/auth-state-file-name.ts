import { KEY_KINDS, type KeyKind } from '#src/model/session-store.ts'

/** Longest first: some names begin with another one. */
const KINDS = Object.keys(KEY_KINDS)
  .filter((kind) => kind !== 'creds')
  .sort((one, other) => other.length - one.length) as KeyKind[]

/**
 * Which key a file of Baileys' `useMultiFileAuthState` holds; undefined if none. The folder's names have `__` for `/` and
 * `-` for `:`. Only ids of sender keys contain `:`, between the group, the user and the device.
 */
export function keyOfFileName(fileName: string): { kind: KeyKind; id: string } | undefined {
  const name = /^(?<name>.+)\.json$/s.exec(fileName)?.groups?.['name']
  const kind = name === undefined ? undefined : KINDS.find((each) => name.startsWith(`${each}-`))
  if (name === undefined || kind === undefined) return undefined
  const id = name.slice(kind.length + 1).replaceAll('__', '/')
  return { kind, id: kind === 'sender-key' ? id.replace(/--([^-]+)--(\d+)$/, '::$1::$2') : id }
}
