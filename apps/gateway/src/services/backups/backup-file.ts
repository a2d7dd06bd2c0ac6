import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto'
import { z } from 'zod'
import { FrontdeskError } from '#src/model/errors.ts'
import { ByteReader } from './byte-reader.ts'

const MAGIC = Buffer.from('frontdesk backup\n')
const LENGTH_BYTES = 4
const MAX_HEADER_BYTES = 4_096
const CHUNK_BYTES = 64 * 1024
const TAG_BYTES = 16
const NONCE_BYTES = 12
const ALGORITHM = 'aes-256-gcm'
/** In a chunk's length: that it is the last one. */
const LAST = 0x8000_0000

const header = z.object({
  format: z.literal(1),
  /** Of this file alone: its key follows from it. */
  id: z.uuid(),
  companyId: z.uuid(),
  environment: z.enum(['whatsapp', 'emulator']),
  createdAt: z.iso.datetime(),
  /** Tells which master key opens the file, and nothing else about that key. */
  keyId: z.string(),
})
export type BackupHeader = z.infer<typeof header>

/** Which master key a backup was made with. */
const keyIdOf = (masterKey: Uint8Array): string =>
  Buffer.from(hkdfSync('sha256', masterKey, '', 'frontdesk/backup/key-id', 8)).toString('hex')

/**
 * A file: what it is, readable by anyone and changeable by none; then the content in sealed chunks. Each chunk is bound
 * to its place in this file, and the last one says that it is the last.
 */
export async function* sealBackup(
  masterKey: Uint8Array,
  about: Omit<BackupHeader, 'format' | 'keyId'>,
  content: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const head = encodeHeader({ format: 1, ...about, keyId: keyIdOf(masterKey) })
  yield head
  const chunks = new ChunkCipher(masterKey, about.id, head)
  let waiting = Buffer.alloc(0)
  for await (const piece of content) {
    waiting = Buffer.concat([waiting, piece])
    for (; waiting.byteLength > CHUNK_BYTES; waiting = waiting.subarray(CHUNK_BYTES))
      yield chunks.seal(waiting.subarray(0, CHUNK_BYTES), false)
  }
  yield chunks.seal(waiting, true)
}

/** What a backup says of itself. Nothing proves it until a chunk was opened. @throws FrontdeskError as `openBackup` */
export async function readHeader(file: AsyncIterable<Uint8Array>): Promise<BackupHeader> {
  await using reader = new ByteReader(file)
  return (await readHead(reader)).about
}

/**
 * The content of a backup. Nothing of a chunk is handed out before it was proved.
 * @throws FrontdeskError `backup_key_wrong`, `backup_truncated`, `backup_damaged`
 */
export async function* openBackup(masterKey: Uint8Array, file: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  await using reader = new ByteReader(file)
  const { about, head } = await readHead(reader)
  if (about.keyId !== keyIdOf(masterKey)) throw new FrontdeskError('backup_key_wrong')
  const chunks = new ChunkCipher(masterKey, about.id, head)
  for (;;) {
    const length = (await reader.take(LENGTH_BYTES)).readUInt32BE()
    const isLast = length >= LAST
    const bytes = isLast ? length - LAST : length
    if (bytes > CHUNK_BYTES) throw new FrontdeskError('backup_damaged')
    yield chunks.open(await reader.take(bytes + TAG_BYTES), isLast)
    if (!isLast) continue
    if (!(await reader.isAtEnd())) throw new FrontdeskError('backup_damaged', 'Something follows its end.')
    return
  }
}

function encodeHeader(about: BackupHeader): Buffer {
  const text = Buffer.from(JSON.stringify(about))
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeUInt32BE(text.byteLength)
  return Buffer.concat([MAGIC, length, text])
}

async function readHead(reader: ByteReader): Promise<{ about: BackupHeader; head: Buffer }> {
  const start = await reader.take(MAGIC.byteLength + LENGTH_BYTES)
  const length = start.readUInt32BE(MAGIC.byteLength)
  if (!start.subarray(0, MAGIC.byteLength).equals(MAGIC) || length > MAX_HEADER_BYTES)
    throw new FrontdeskError('backup_damaged', 'This is not a backup of Frontdesk.')
  const text = await reader.take(length)
  const parsed = header.safeParse(parseJson(text.toString()))
  if (!parsed.success) throw new FrontdeskError('backup_damaged', 'Its header cannot be read by this version.')
  return { about: parsed.data, head: Buffer.concat([start, text]) }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not a header; the schema says so.
    return undefined
  }
}

class ChunkCipher {
  readonly #key: Uint8Array
  readonly #headHash: Uint8Array
  #index = 0

  constructor(masterKey: Uint8Array, fileId: string, head: Uint8Array) {
    this.#key = new Uint8Array(hkdfSync('sha256', masterKey, fileId, 'frontdesk/backup', 32))
    this.#headHash = createHash('sha256').update(head).digest()
  }

  seal(plaintext: Uint8Array, isLast: boolean): Uint8Array {
    const cipher = createCipheriv(ALGORITHM, this.#key, this.#nextNonce(isLast), { authTagLength: TAG_BYTES })
    cipher.setAAD(this.#headHash)
    const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()])
    const length = Buffer.alloc(LENGTH_BYTES)
    length.writeUInt32BE(isLast ? LAST + plaintext.byteLength : plaintext.byteLength)
    return Buffer.concat([length, ciphertext, cipher.getAuthTag()])
  }

  /** @throws FrontdeskError `backup_damaged` */
  open(chunk: Uint8Array, isLast: boolean): Uint8Array {
    const tagAt = chunk.byteLength - TAG_BYTES
    const decipher = createDecipheriv(ALGORITHM, this.#key, this.#nextNonce(isLast), { authTagLength: TAG_BYTES })
    decipher.setAAD(this.#headHash)
    decipher.setAuthTag(chunk.subarray(tagAt))
    try {
      return Buffer.concat([decipher.update(chunk.subarray(0, tagAt)), decipher.final()])
    } catch (cause) {
      throw new FrontdeskError('backup_damaged', undefined, { cause })
    }
  }

  /** The chunk's place: the key is this file's alone, so that no nonce is used twice. */
  #nextNonce(isLast: boolean): Uint8Array {
    const nonce = Buffer.alloc(NONCE_BYTES)
    nonce.writeUInt32BE(this.#index, 0)
    nonce[NONCE_BYTES - 1] = isLast ? 1 : 0
    this.#index += 1
    return nonce
  }
}
