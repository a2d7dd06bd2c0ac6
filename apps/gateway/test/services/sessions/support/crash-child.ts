import { pino } from 'pino'
import { createBaileysProvider } from '#src/providers/baileys/create-baileys-provider.ts'
import { Alerts } from '#src/services/alerts/alerts.ts'
import { SessionHost } from '#src/services/sessions/session-host.ts'
import { Membership } from '#src/services/supervisor/membership.ts'
import { openDatabase } from '#src/storage/database.ts'
import { openKeyRing } from '#src/storage/key-ring.ts'
import { startWriter } from '#src/storage/writer/writer.ts'

/** What the test hands to the process that it is going to kill. */
export interface CrashChildOptions {
  databaseUrl: string
  /** The same for one process after the other: what the killed one owned is free at once. */
  nodeId: string
  masterKey: string
  emulator: { url: string; rootKey: string }
}

/** A session host that runs until it is killed. Tells its parent each session that comes online. */
async function run({ databaseUrl, nodeId, masterKey, emulator }: CrashChildOptions): Promise<void> {
  const log = pino({ level: 'silent' })
  const database = await openDatabase(databaseUrl)
  const keyRing = await openKeyRing(database, Buffer.from(masterKey, 'hex'), 'emulator')
  const writer = await startWriter({ database, log })
  const host = new SessionHost({
    ...{ database, keyRing, writer, log },
    membership: new Membership({ database, nodeId, log }),
    alerts: new Alerts({ database, log }),
    onReleased: () => undefined,
    provider: createBaileysProvider({ emulator }),
    settings: {
      keepAliveIntervalMs: 30_000,
      qrTimeoutMs: 60_000,
      maxQrAttempts: 3,
      deviceName: 'Frontdesk',
      usePairingCode: false,
      reconnectDelayMs: 100,
      maxReconnectAttempts: 10,
    },
    listener: {
      owned: async () => undefined,
      online: ({ lease }) => process.send?.({ online: lease.sessionId }),
      offline: () => undefined,
      typing: () => undefined,
      phoneSeen: () => undefined,
      released: () => undefined,
    },
  })
  await host.join()
  host.claimAll()
}

const [options] = process.argv.slice(2)
if (options === undefined) throw new Error('Started by a test, with its options as JSON.')
await run(JSON.parse(options) as CrashChildOptions)
