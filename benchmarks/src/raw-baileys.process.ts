/** Raw Baileys in a process of its own, told what to do over the IPC channel. See support/raw-process.ts. */
import { openRawSession, prepareBaileys, type RawSession } from './raw-baileys.ts'
import type { RawCommands } from './support/raw-commands.ts'

// libsignal prints sessions with their private keys; and printing would slow the rival down.
console.info = console.warn = console.error = () => undefined

const sessions = new Map<string, RawSession>()

const commands: RawCommands = {
  async connect({ url, rootKey, companions, concurrency }) {
    prepareBaileys(rootKey)
    const waiting = companions.values()
    const times: number[] = []
    const lane = async () => {
      for (const { phone, creds } of waiting) {
        const session = openRawSession({ url, name: phone, creds })
        sessions.set(phone, session)
        times.push(await session.opened)
        session.socket.ev.on('connection.update', ({ connection, lastDisconnect }) => {
          if (connection === 'close') fail(`The session of ${phone} was closed: ${lastDisconnect?.error?.message}`)
        })
      }
    }
    await Promise.all(Array.from({ length: concurrency }, lane))
    return times
  },

  async send({ messages, concurrency }) {
    const waiting = messages.values()
    const lane = async () => {
      for (const { from, to, text } of waiting) {
        const session = sessions.get(from)
        if (session === undefined) throw new Error(`There is no session of ${from}.`)
        await session.socket.sendMessage(`${to}@s.whatsapp.net`, { text })
      }
    }
    await Promise.all(Array.from({ length: concurrency }, lane))
  },
}

/** A rival that loses a session on the way is no rival. */
function fail(reason: string): never {
  process.stderr.write(`Raw Baileys: ${reason}\n`)
  process.exit(1)
}

// Ends by itself, not by the signal, so that a profile of it is written.
for (const end of ['disconnect', 'SIGTERM']) process.once(end, () => process.exit(0))
process.on('message', ({ id, name, options }: { id: number; name: keyof RawCommands; options: never }) => {
  const result: Promise<unknown> = commands[name](options)
  result.then(
    (result) => process.send?.({ id, result }),
    (error: Error) => process.send?.({ id, error: error.stack ?? error.message }),
  )
})
process.send?.('ready')
