import { startEmulator } from 'whatsapp-emulator'
import { createBaileysProvider } from '#src/providers/baileys/create-baileys-provider.ts'
import { until } from '../../support/until.ts'
import { MemorySessionStore } from './memory-session-store.ts'
import { sendText, TestSession } from './test-session.ts'

// Takes one session through everything about which libsignal prints something.
const [company, customer] = ['491700000001', '491719990001']
await using emulator = await startEmulator({ behaviour: { sendsHistory: false } })
const store = new MemorySessionStore()
const session = new TestSession({ provider: createBaileysProvider({ emulator }), store })
const open = await session.link(emulator, company)

const receive = async (text: string, isCorrupt: boolean) => {
  const { id } = await emulator.sendText({ from: customer, to: company, text, isCorrupt })
  await until(() => store.messages.find(({ whatsappId }) => whatsappId === id))
}
await receive('opens a session', false)
await sendText(open, { phone: customer }, 'opens another, closes the first')
await receive('cannot be decrypted', true)
await emulator.fault({ kind: 'lose_sessions', phone: customer })
await receive('opens a third', false)
await sendText(open, { phone: customer }, 'the end')
await open.connection.close()
console.log('done')
// A timer of Baileys' pre-key upload would keep the process for half a minute.
process.exit()
