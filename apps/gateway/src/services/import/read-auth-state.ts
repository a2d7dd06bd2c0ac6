import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { FrontdeskError } from '#src/model/errors.ts'
import { KEY_KINDS, type KeyKind } from '#src/model/session-store.ts'
import { keyOfFileName } from './auth-state-file-name.ts'

/** The state of a Baileys session as it was found: JSON, in which bytes are objects of `BufferJSON`. */
export interface AuthState {
  creds: unknown
  keys: { kind: KeyKind; id: string; value: unknown }[]
}

/** Names under which early versions of Baileys kept their keys in one file. */
const EARLY_NAMES: Readonly<Record<string, KeyKind>> = {
  preKeys: 'pre-key',
  sessions: 'session',
  senderKeys: 'sender-key',
  senderKeyMemory: 'sender-key-memory',
  appStateSyncKeys: 'app-state-sync-key',
  appStateVersions: 'app-state-sync-version',
}

/**
 * Reads the folder of `useMultiFileAuthState`, or one JSON file of `{ creds, keys }` with the keys by kind and id.
 * @throws FrontdeskError `import_invalid`
 */
export async function readAuthState(path: string): Promise<AuthState> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new FrontdeskError('import_invalid', `${path} cannot be read.`, { cause })
  })
  return found.isDirectory() ? await readFolder(path) : fromOneFile(await readJson(path), path)
}

async function readFolder(folder: string): Promise<AuthState> {
  const names = await readdir(folder)
  if (!names.includes('creds.json')) throw new FrontdeskError('import_invalid', `${folder} holds no creds.json.`)
  const keys: AuthState['keys'] = []
  for (const name of names) {
    const key = keyOfFileName(name)
    if (key !== undefined) keys.push({ ...key, value: await readJson(join(folder, name)) })
  }
  return { creds: await readJson(join(folder, 'creds.json')), keys }
}

function fromOneFile(content: unknown, path: string): AuthState {
  if (!isRecord(content) || !isRecord(content['creds']) || !isRecord(content['keys']))
    throw new FrontdeskError('import_invalid', `${path} is not an object with creds and keys.`)
  const keys = Object.entries(content['keys']).flatMap(([name, values]) => {
    const kind = EARLY_NAMES[name] ?? (name in KEY_KINDS ? (name as KeyKind) : undefined)
    if (kind === undefined || !isRecord(values))
      throw new FrontdeskError('import_invalid', `${path} holds keys of a kind that is not known: ${name}.`)
    return Object.entries(values).map(([id, value]) => ({ kind, id, value }))
  })
  return { creds: content['creds'], keys }
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch (cause) {
    // Its content, which the error quotes, is secret.
    throw new FrontdeskError('import_invalid', `${file} cannot be read, or is not JSON.`, {
      cause: cause instanceof SyntaxError ? undefined : cause,
    })
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
