import { expect, test } from 'vitest'
import { startEmulator } from '../src/index.ts'
import { linkBaileys } from './support/baileys-client.ts'
import { ANNA, BERT, jidOf, SALON } from './support/numbers.ts'
import { until } from './support/until.ts'

test('a phone with chats hands them over at the first login, with names and LIDs', async () => {
  await using emulator = await startEmulator({ behaviour: { receipts: 'delivered' } })
  const texts = Array.from({ length: 25 }, (_, index) => `Question ${index}`)
  for (const text of texts) await emulator.sendText({ from: ANNA, to: SALON, text })
  await emulator.sendText({ from: BERT, to: SALON, text: 'Open today?', addressing: 'lid' })
  const { id } = await emulator.sendText({ from: SALON, to: BERT, text: 'Until six' })
  await emulator.setName({ phone: ANNA, name: 'Anna' })

  using salon = await linkBaileys(emulator, SALON)
  await until('all parts were taken in', () => names().includes('Anna'))
  await until('nothing was left to acknowledge', async () => (await emulator.pending()) === 0)

  function names() {
    return salon.histories.flatMap(({ contacts }) => contacts.map(({ notify }) => notify))
  }
  const bert = (await emulator.phones()).find(({ phone }) => phone === BERT)
  const messages = salon.histories.flatMap((history) => history.messages)
  const ofAnna = messages.filter(({ key }) => key.remoteJid === jidOf(ANNA))
  expect(ofAnna.map(({ message }) => message?.conversation)).toEqual(texts.toReversed())
  const answer = messages.find(({ key }) => key.id === id)
  expect(answer).toMatchObject({
    key: { remoteJid: `${bert?.lid}@lid`, fromMe: true },
    message: { conversation: 'Until six' },
  })
  const chats = salon.histories.flatMap((history) => history.chats)
  expect(chats.find((chat) => chat.id === jidOf(ANNA))).toMatchObject({ unreadCount: 25 })
  expect(salon.store.ids('lid-mapping')).toEqual(expect.arrayContaining([ANNA, BERT]))
  expect(salon.store.creds.myAppStateKeyId).toBeDefined()
  // History is no news.
  expect(salon.texts()).toEqual([])
})
