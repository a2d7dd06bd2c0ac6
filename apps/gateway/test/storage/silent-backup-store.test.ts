import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, test, vi } from 'vitest'
import { S3BackupStore } from '#src/storage/backups/s3-backup-store.ts'

test('a server for backups that takes everything and says nothing is given up', async () => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test')
  await using server = createServer((socket) => void socket.resume()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  using store = new S3BackupStore(new URL(`s3://desk?endpoint=http://127.0.0.1:${port}`), 100)
  const content = async function* () {
    yield Buffer.from('content')
  }
  await expect(store.write('company/now.backup', content())).rejects.toThrow('timed out')
  await expect(store.list()).rejects.toThrow('timed out')
  vi.unstubAllEnvs()
})
