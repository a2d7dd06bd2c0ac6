import { Readable } from 'node:stream'
import { DeleteObjectCommand, GetObjectCommand, NoSuchKey, paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { FrontdeskError } from '#src/model/errors.ts'
import type { BackupStore, StoredBackup } from './backup-store.ts'

const DEFAULT_REGION = 'us-east-1'
/** The least that S3 allows; so much is in memory. */
const PART_BYTES = 5 * 1024 * 1024
const CONNECT_TIMEOUT_MS = 10_000
/** By itself the client waits for ever, with the transaction open from which the backup is read. */
const SILENCE_LIMIT_MS = 60_000

/**
 * Backups in a bucket: `s3://bucket/prefix`, for servers other than Amazon's with `?endpoint=https://host`, and `&region=`.
 * Credentials are found as everywhere with the official client.
 */
export class S3BackupStore implements BackupStore {
  readonly #client: S3Client
  readonly #bucket: string
  /** Empty, or ends with a slash. */
  readonly #prefix: string

  /** `silenceLimitMs`: how long the server may say nothing. */
  constructor(location: URL, silenceLimitMs = SILENCE_LIMIT_MS) {
    const endpoint = location.searchParams.get('endpoint')
    this.#bucket = location.hostname
    this.#prefix = location.pathname.replace(/^\/+|\/+$/g, '').replace(/(?<=.)$/, '/')
    this.#client = new S3Client({
      region: location.searchParams.get('region') ?? DEFAULT_REGION,
      // Bucket names as parts of the host need a DNS that only the large services have.
      ...(endpoint !== null && { endpoint, forcePathStyle: true }),
      requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS, socketTimeout: silenceLimitMs },
      // By default streams are sent with a trailing checksum, which other servers store as if it were content.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
    })
  }

  async write(name: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    const upload = new Upload({
      client: this.#client,
      params: { Bucket: this.#bucket, Key: this.#prefix + name, Body: Readable.from(content) },
      partSize: PART_BYTES,
      queueSize: 1,
    })
    await upload.done()
  }

  async read(name: string): Promise<AsyncIterable<Uint8Array>> {
    try {
      const { Body } = await this.#client.send(new GetObjectCommand({ Bucket: this.#bucket, Key: this.#prefix + name }))
      if (Body instanceof Readable) return Body
    } catch (error) {
      if (!(error instanceof NoSuchKey)) throw error
    }
    throw new FrontdeskError('backup_not_found', `Looked for ${this.#prefix}${name} in the bucket ${this.#bucket}.`)
  }

  async list(companyId?: string): Promise<StoredBackup[]> {
    const Prefix = companyId === undefined ? this.#prefix : `${this.#prefix}${companyId}/`
    const backups: StoredBackup[] = []
    for await (const { Contents = [] } of paginateListObjectsV2(
      { client: this.#client },
      { Bucket: this.#bucket, Prefix },
    ))
      for (const { Key = '', Size = 0 } of Contents)
        if (Key.endsWith('.backup')) backups.push({ name: Key.slice(this.#prefix.length), bytes: Size })
    return backups
  }

  async remove(name: string): Promise<void> {
    await this.#client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key: this.#prefix + name }))
  }

  [Symbol.dispose](): void {
    this.#client.destroy()
  }
}
