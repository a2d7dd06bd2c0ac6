import type { EmulatorControl } from 'whatsapp-emulator'
import type { Side } from './side.ts'
import { until } from './until.ts'

/** A customer who has written to a linked number and was answered. */
export interface Chat {
  phone: string
  customer: string
}

/**
 * Every one of `customers` writes once to each of the linked numbers and is answered: from then on the messages of both
 * are ordinary ones (`msg`) and need no key agreement, as nearly all traffic is.
 */
export async function establishChats(emulator: EmulatorControl, side: Side, customers: number): Promise<Chat[]> {
  const before = await emulator.counters()
  await emulator.prepareBurst({ to: [...side.phones], customers, each: customers })
  const sent = await emulator.fireBurst()
  await until(`${side.name} has received the first messages`, async () => {
    return (await emulator.counters()).receipts - before.receipts >= sent.length
  })
  const chats = sent.map(({ to, from }) => ({ phone: to, customer: from }))
  await side.send(chats.map(({ phone, customer }) => ({ from: phone, to: customer, text: 'Welcome!' })))
  await until(`the customers have the first answers of ${side.name}`, async () => {
    return (await emulator.counters()).messagesFromCompanions - before.messagesFromCompanions >= sent.length
  })
  return chats
}
