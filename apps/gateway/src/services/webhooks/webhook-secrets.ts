import { randomBytes } from 'node:crypto'
import type { Sealer } from '#src/model/sealing.ts'
import { webhookSecretsContext } from '#src/storage/sealed-columns.ts'

const PREFIX = 'whsec_'
const SECRET_BYTES = 32
/** More rotations than this within the time that former secrets are kept: the oldest sign no more. */
const MOST_SECRETS = 5

/** What of an endpoint is sealed. */
export interface WebhookSecrets {
  /** Newest first. */
  signing: readonly SigningSecret[]
  /** Custom headers. */
  headers: Readonly<Record<string, string>>
}

interface SigningSecret {
  /** `whsec_` and base64, as Standard Webhooks has it. */
  value: string
  /** RFC 3339; null until it is replaced. */
  expiresAt: string | null
}

export const newSecret = (): string => PREFIX + randomBytes(SECRET_BYTES).toString('base64')

/** Whether one that somebody else has made can sign. */
export const isSigningSecret = (value: string): boolean => /^whsec_[A-Za-z0-9+/]{16,}={0,2}$/.test(value)

/** The secrets that sign now, newest first. */
export const validSecrets = (signing: readonly SigningSecret[], now: Date): SigningSecret[] =>
  signing.filter(({ expiresAt }) => expiresAt === null || Date.parse(expiresAt) > now.getTime())

/** With another secret in front; the former ones sign until they expire, but no longer than they would have. */
export function withNewSecret(
  signing: readonly SigningSecret[],
  value: string,
  { now, formerValidMs }: { now: Date; formerValidMs: number },
): SigningSecret[] {
  const expiresAt = new Date(now.getTime() + formerValidMs).toISOString()
  const former = signing.map((secret) => ({
    ...secret,
    expiresAt: secret.expiresAt !== null && secret.expiresAt < expiresAt ? secret.expiresAt : expiresAt,
  }))
  return [{ value, expiresAt: null }, ...validSecrets(former, now)].slice(0, MOST_SECRETS)
}

/** A secret's bytes. */
export const secretBytes = (value: string): Buffer => Buffer.from(value.slice(PREFIX.length), 'base64')

export const sealSecrets = (sealer: Sealer, endpointId: string, secrets: WebhookSecrets): Uint8Array =>
  sealer.seal(Buffer.from(JSON.stringify(secrets)), webhookSecretsContext(endpointId))

/** @throws UnreadableError */
export async function openSecrets(sealer: Sealer, endpointId: string, sealed: Uint8Array): Promise<WebhookSecrets> {
  const opened = await sealer.open(sealed, webhookSecretsContext(endpointId))
  return JSON.parse(Buffer.from(opened).toString()) as WebhookSecrets
}
