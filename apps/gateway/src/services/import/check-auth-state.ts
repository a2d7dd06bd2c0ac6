import { z } from 'zod'
import { FrontdeskError } from '#src/model/errors.ts'
import type { KeyKind } from '#src/model/session-store.ts'
import type { AuthState } from './read-auth-state.ts'

/** The account that a checked state is linked to. */
export interface ImportedAccount {
  phone: string
  lid: string | null
}

/** As `BufferJSON` writes bytes, and as early versions did. */
const bytes = (length?: number) =>
  z
    .looseObject({ type: z.literal('Buffer'), data: z.union([z.string(), z.array(z.int().min(0).max(255))]) })
    .refine(({ data }) => {
      const { byteLength } = typeof data === 'string' ? Buffer.from(data, 'base64') : Buffer.from(data)
      return length === undefined ? byteLength > 0 : byteLength === length
    }, 'is not a key')
const keyPair = z.looseObject({ public: bytes(32), private: bytes(32) })

const creds = z.looseObject({
  noiseKey: keyPair,
  signedIdentityKey: keyPair,
  signedPreKey: z.looseObject({ keyPair, signature: bytes(64), keyId: z.int() }),
  registrationId: z.int(),
  advSecretKey: z.string().min(1),
  nextPreKeyId: z.int(),
  firstUnuploadedPreKeyId: z.int(),
  myAppStateKeyId: z.string().optional(),
})
/** Protobufs write their bytes as base64 alone. */
const protobufBytes = z.union([z.string().min(1), bytes()])
const linked = z.looseObject({
  me: z.looseObject({ id: z.string().regex(/^\d+(:\d+)?@s\.whatsapp\.net$/), lid: z.string().optional() }),
  account: z.looseObject({
    details: protobufBytes,
    accountSignature: protobufBytes,
    deviceSignature: protobufBytes,
  }),
})

/** What is known of the kinds; of the others only that there is something. */
const VALUES: Partial<Record<KeyKind, z.ZodType>> = {
  session: z.looseObject({ _sessions: z.record(z.string(), z.looseObject({})) }),
  'pre-key': keyPair,
  'lid-mapping': z.string().min(1),
}
const something = z.unknown().refine((value) => value !== null && value !== undefined)

/**
 * Makes sure that a state is that of a linked session, and all of it as far as that can be seen.
 * @throws FrontdeskError `import_invalid`, `session_not_linked`
 */
export function checkAuthState(state: AuthState): ImportedAccount {
  const checked = creds.safeParse(state.creds)
  if (!checked.success) throw invalid(`The credentials are not whole: ${placesOf(checked.error)}.`)
  const account = linked.safeParse(state.creds)
  if (!account.success)
    throw new FrontdeskError('session_not_linked', `In the credentials: ${placesOf(account.error)}.`)
  const broken = state.keys.find(({ kind, value }) => !(VALUES[kind] ?? something).safeParse(value).success)
  if (broken !== undefined) throw invalid(`The ${broken.kind} ${broken.id} is not whole.`)
  const has = (kind: KeyKind, id?: string) =>
    state.keys.some((key) => key.kind === kind && (id === undefined || key.id === id))
  // A linked companion has uploaded pre-keys, and keeps them until they are used up.
  if (checked.data.nextPreKeyId > 1 && !has('pre-key')) throw invalid('Its pre-keys are missing.')
  const { myAppStateKeyId } = checked.data
  if (myAppStateKeyId !== undefined && !has('app-state-sync-key', myAppStateKeyId))
    throw invalid('The app-state key that the credentials name is missing.')
  const { id, lid } = account.data.me
  return { phone: userOf(id), lid: lid === undefined ? null : userOf(lid) }
}

const userOf = (jid: string): string => jid.replace(/[:@].*$/, '')

/** Which fields, and never what they hold. */
const placesOf = ({ issues }: z.ZodError): string => [...new Set(issues.map(({ path }) => path.join('.')))].join(', ')

const invalid = (detail: string): FrontdeskError => new FrontdeskError('import_invalid', detail)
