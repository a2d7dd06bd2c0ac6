import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { FrontdeskError } from '#src/model/errors.ts'
import { type BackupRecord, backupRecord, type ReadBackupRecord } from '#src/storage/backup-records.ts'
import { type BackupHeader, openBackup, sealBackup } from './backup-file.ts'

type About = Omit<BackupHeader, 'format' | 'keyId'>

/** Records on their way into a file: as lines, compressed, sealed. Nothing is held but what is on its way. */
export async function writeContent(
  records: AsyncIterable<BackupRecord>,
  masterKey: Uint8Array,
  about: About,
  write: (file: AsyncIterable<Uint8Array>) => Promise<void>,
): Promise<void> {
  await pipeline(toLines(records), createGzip(), (compressed: AsyncIterable<Uint8Array>) =>
    write(sealBackup(masterKey, about, compressed)),
  )
}

/**
 * Hands out the records of a file, whose last one is its end: `work` changes nothing for good before it has seen that.
 * @throws FrontdeskError `backup_key_wrong`, `backup_truncated`, `backup_damaged`
 */
export async function readContent<T>(
  file: AsyncIterable<Uint8Array>,
  masterKey: Uint8Array,
  work: (records: AsyncIterable<ReadBackupRecord>) => Promise<T>,
): Promise<T> {
  let result: { value: T } | undefined
  await pipeline(openBackup(masterKey, file), createGunzip(), async (text: AsyncIterable<Uint8Array>) => {
    result = { value: await work(fromLines(text)) }
  })
  if (result === undefined) throw new FrontdeskError('backup_damaged')
  return result.value
}

async function* toLines(records: AsyncIterable<BackupRecord>): AsyncGenerator<Uint8Array> {
  for await (const record of records) yield Buffer.from(`${JSON.stringify(record)}\n`)
}

async function* fromLines(text: AsyncIterable<Uint8Array>): AsyncGenerator<ReadBackupRecord> {
  let rest = Buffer.alloc(0)
  let hasEnded = false
  for await (const piece of text) {
    rest = Buffer.concat([rest, piece])
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      const record = backupRecord.safeParse(JSON.parse(rest.subarray(0, end).toString()))
      if (!record.success || hasEnded) throw new FrontdeskError('backup_damaged', 'Its content is of another version.')
      hasEnded = record.data.type === 'end'
      rest = rest.subarray(end + 1)
      yield record.data
    }
  }
  if (!hasEnded || rest.byteLength > 0) throw new FrontdeskError('backup_damaged', 'Its content has no end.')
}
