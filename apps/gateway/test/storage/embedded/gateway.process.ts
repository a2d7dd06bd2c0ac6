import { randomBytes } from 'node:crypto'
import { pino } from 'pino'
import { newId } from '#src/model/ids.ts'
import { createContactBook } from '#src/storage/contacts.ts'
import { openDatabase } from '#src/storage/database.ts'
import { startEmbeddedPostgres } from '#src/storage/embedded/embedded-postgres.ts'
import { openKeyRing } from '#src/storage/key-ring.ts'
import { migrate } from '#src/storage/migrate.ts'
import { startWriter } from '#src/storage/writer/writer.ts'
import { claimLease } from '../../support/claim-lease.ts'

/**
 * A process that owns a data directory and can be killed: it stores numbered messages without end and prints the number
 * of each that is committed. Arguments: the data directory, and the master key in hex.
 */
const [dataDir = '', masterKey = ''] = process.argv.slice(2)
const log = pino({ level: 'warn' }, pino.destination({ dest: 2, sync: true }))
const print = (line: string) => process.stdout.write(`${line}\n`)
// What Ctrl-C sends to all of a terminal's processes does not end this one, so that one can see whether it ends another.
process.on('SIGINT', () => print('interrupted'))
const stopped = new Promise((resolve) => process.once('SIGTERM', resolve))

await using postgres = await startEmbeddedPostgres({ dataDir, log })
await migrate(postgres.url)
await using database = await openDatabase(postgres.url)
const keyRing = await openKeyRing(database, Buffer.from(masterKey, 'hex'), 'emulator')
await using writer = await startWriter({ database, log })

const companyId = newId()
const sessionId = newId()
await database.worker
  .insertInto('company')
  .values({ id: companyId, name: 'Salon', data_key: keyRing.newDataKey(companyId) })
  .execute()
await database.worker
  .insertInto('session')
  .values({ id: sessionId, company_id: companyId, name: 'main', provider: 'baileys' })
  .execute()
const contactId = await createContactBook(database, companyId).contactOf({ phone: '4915112345678' })
const lease = await claimLease(database, newId(), sessionId)
const store = writer.openSession({ ...lease, sealer: await keyRing.sealerOf(companyId) })

let isStopping = false
const publishing = (async () => {
  for (let number = 1; !isStopping; number++) {
    const sequence = store.publish({
      keys: [{ kind: 'session', id: 'counter', encode: () => Buffer.from(String(number)) }],
      messages: [
        {
          id: newId(),
          contactId,
          direction: 'inbound',
          origin: 'customer',
          whatsappId: String(number),
          ciphertextHash: randomBytes(32),
          raw: randomBytes(32),
          envelope: {},
          content: { kind: 'text', text: String(number) },
          isOffline: false,
          sentAt: new Date(),
        },
      ],
    })
    await store.committed(sequence)
    print(`committed ${sessionId} ${number}`)
  }
})()
print(`ready ${postgres.pid} ${process.getuid?.()}`)
await stopped
isStopping = true
await publishing
await store.close()
