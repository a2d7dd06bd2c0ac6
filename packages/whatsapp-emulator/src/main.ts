import { parseArgs } from 'node:util'
import { startEmulator } from './index.ts'

const HELP = `whatsapp-emulator: a WhatsApp Web server on this machine, with everybody's phones

Usage: whatsapp-emulator [--port <number>] [--json]

  --port <number>  where to listen; 7100 by default, 0 for any free port
  --json           print one JSON object {url, rootKey, pageUrl} instead of text
  --help           print this

It listens on 127.0.0.1 only and keeps nothing: when it ends, everything in it is gone.`

const DEFAULT_PORT = '7100'
const MAX_PORT = 65_535

/**
 * Node finds out whether a key is a buffer or a key object by catching what it throws for the wrong guess. The stacks of
 * these errors, which libsignal's every use of a key causes, take half of the emulator's processor time; nobody reads them.
 */
Error.stackTraceLimit = 0

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: DEFAULT_PORT },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(HELP)
    return
  }
  const port = Number(values.port)
  if (!Number.isInteger(port) || port < 0 || port > MAX_PORT)
    throw new Error(`--port must be a whole number from 0 to ${MAX_PORT}, not "${values.port}".`)
  const emulator = await startEmulator({ port })
  emulator.on('violation', ({ jid, reason }) => console.error(`Protocol violation by ${jid || 'a client'}: ${reason}`))
  const stop = () => {
    void emulator.close()
    // An open channel would keep the process alive.
    if (process.connected) process.disconnect()
  }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  // With an IPC channel somebody started this as a part of himself: it must not outlive him.
  if (process.connected) process.once('disconnect', stop)
  const { url, rootKey, pageUrl } = emulator
  console.log(values.json ? JSON.stringify({ url, rootKey, pageUrl }) : describe(url, rootKey, pageUrl))
}

function describe(url: string, rootKey: string, pageUrl: string): string {
  return [
    `Phones      ${pageUrl}`,
    `WebSocket   ${url}`,
    `Root key    ${rootKey}`,
    '',
    'Open the first address in a browser to be any customer. Ctrl-C ends it.',
  ].join('\n')
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
