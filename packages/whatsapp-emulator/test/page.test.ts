import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Emulator, startEmulator } from '../src/index.ts'
import { BaileysClient } from './support/baileys-client.ts'
import { launchChromium } from './support/chromium.ts'
import { until } from './support/until.ts'

/** What the page proposes for a company. */
const COMPANY = '491700000001'
const CUSTOMER = '491711111111'
/** Baileys' number for the status of an own message that was read. */
const READ = 4

let browser: Browser

beforeAll(async () => {
  browser = await launchChromium()
})

afterAll(async () => {
  await browser.close()
})

/** An emulator and its page; whatever the page complains about fails the test at the end. */
async function openPage(options: { width?: number } = {}) {
  const emulator = await startEmulator({ behaviour: { receipts: 'delivered' } })
  const page = await browser.newPage({ viewport: { width: options.width ?? 1280, height: 800 } })
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    // A refusal is an answer of status 400, which Chromium notes as a failed resource.
    if (message.type() === 'error' && !message.text().includes('status of 400')) complaints.push(message.text())
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(emulator.pageUrl) && !request.url().startsWith('data:'))
      complaints.push(`A request to ${request.url()}`)
  })
  await page.goto(emulator.pageUrl)
  await page.getByText('Live', { exact: true }).waitFor()
  return {
    emulator,
    page,
    complaints,
    async [Symbol.asyncDispose]() {
      await page.close()
      await emulator.close()
      expect(complaints).toEqual([])
    },
  }
}

/** A companion shows its code, somebody tells the emulator, and a person scans it on the page. */
async function linkByClick(emulator: Emulator, page: Page): Promise<BaileysClient> {
  using linking = new BaileysClient(emulator)
  await emulator.announceQr({ qr: await linking.qr() })
  const waiting = page.getByRole('region', { name: 'Waiting to be linked' }).getByRole('listitem')
  await waiting.getByText('Paste the text').waitFor({ state: 'hidden' })
  expect(await waiting.getByLabel('Phone that scans it').inputValue()).toBe(COMPANY)
  await waiting.getByRole('button', { name: 'Scan' }).click()
  return await loggedIn(emulator, linking)
}

/** The companion has been scanned: it is told to connect again, and does. */
async function loggedIn(emulator: Emulator, linking: BaileysClient): Promise<BaileysClient> {
  expect(await linking.closed()).toBe(515)
  return new BaileysClient(emulator, linking.store).opened()
}

function message(page: Page, text: string) {
  return page
    .getByRole('log')
    .getByRole('listitem')
    .filter({ has: page.getByText(text, { exact: true }) })
}

async function write(page: Page, text: string): Promise<void> {
  await page.getByLabel('Message', { exact: true }).fill(text)
  await page.keyboard.press('Enter')
}

test('a waiting companion is linked by a click, and the phone’s owner unlinks it', async () => {
  await using open = await openPage()
  const { emulator, page } = open
  using companion = await linkByClick(emulator, page)
  await page.getByText(`+${COMPANY} has accepted the code and is linked.`).waitFor()

  await page.getByRole('list', { name: 'Linked numbers' }).getByRole('button', { name: COMPANY }).click()
  await page.getByRole('button', { name: 'Linked devices' }).click()
  await page.getByRole('main').getByText('connected', { exact: true }).waitFor()
  await page.getByRole('button', { name: /^Unlink/ }).click()

  await page.getByText('No device is linked.').waitFor()
  expect(await companion.closed()).toBe(401)
})

test('a pairing code is typed, a wrong one first', async () => {
  await using open = await openPage()
  const { emulator, page } = open
  using linking = new BaileysClient(emulator)
  const { code } = await linking.pairingCode(COMPANY)
  const waiting = page.getByRole('region', { name: 'Waiting to be linked' }).getByRole('listitem')
  await waiting.getByLabel(`Pairing code for +${COMPANY}`).fill('ABCD-EFGH')
  expect(await waiting.getByRole('button', { name: 'Scan' }).count()).toBe(0)
  await page.keyboard.press('Enter')
  await waiting.getByText('This is not the code').waitFor()

  await waiting.getByLabel(`Pairing code for +${COMPANY}`).fill(code)
  await waiting.getByRole('button', { name: 'Link', exact: true }).click()

  await page.getByText(`+${COMPANY} has accepted the code and is linked.`).waitFor()
  using companion = await loggedIn(emulator, linking)
  expect(companion.socket.user?.id).toContain(COMPANY)
})

test('a code that nobody announced is pasted', async () => {
  await using open = await openPage()
  const { emulator, page } = open
  using linking = new BaileysClient(emulator)
  const qr = await linking.qr()
  const waiting = page.getByRole('region', { name: 'Waiting to be linked' }).getByRole('listitem')
  await waiting.getByLabel('Paste the text').fill('https://example.org/')
  await waiting.getByRole('button', { name: 'Scan' }).click()
  await waiting.getByText('This is no QR code').waitFor()

  await waiting.getByLabel('Paste the text').fill(qr)
  await waiting.getByLabel('Phone that scans it').fill('+49 1700 / 000-777')
  await page.keyboard.press('Enter')

  using companion = await loggedIn(emulator, linking)
  expect(companion.socket.user?.id).toContain('491700000777')
})

test('a customer’s quick messages reach the companion in order, and its answer comes back with ticks on both sides', async () => {
  await using open = await openPage()
  const { emulator, page } = open
  using companion = await linkByClick(emulator, page)
  await page.getByRole('button', { name: 'Write to it as a customer' }).click()
  const texts = ['Hi!', 'do you do balayage?', 'and how much is it?']
  for (const text of texts) await write(page, text)

  const keys = []
  for (const text of texts) keys.push((await companion.text(text)).message.key)
  expect(companion.texts()).toEqual(texts)
  for (const text of texts) await message(page, text).getByRole('img', { name: 'delivered' }).waitFor()
  await companion.socket.readMessages(keys)
  for (const text of texts) await message(page, text).getByRole('img', { name: 'read' }).waitFor()

  const jid = keys[0]?.remoteJid ?? ''
  await companion.socket.sendPresenceUpdate('composing', jid)
  await page.getByText('typing…').waitFor()
  const answer = await companion.send(jid, 'Yes, from 129 €.')
  await message(page, 'Yes, from 129 €.').waitFor()
  // The chat is open on the customer's phone, so the answer counts as read.
  await until('the companion heard that it is read', () => companion.statuses(answer).at(-1) === READ)

  // The owner sees the same conversation on the linked phone.
  await page.getByRole('list', { name: 'Linked numbers' }).getByRole('button', { name: COMPANY }).click()
  await page.getByRole('list', { name: 'Chats' }).getByRole('button').click()
  await message(page, 'Yes, from 129 €.').getByRole('img', { name: 'read' }).waitFor()
})

test('what is written is shown as text, never as markup', async () => {
  await using open = await openPage()
  const { emulator, page } = open
  const text = '<img src=x onerror="document.title=1">\n<b>two</b> & three'
  await page.goto(`${emulator.pageUrl}#/${CUSTOMER}/chat/${COMPANY}`)
  await page.getByLabel('Message', { exact: true }).fill('one')
  await page.keyboard.press('Shift+Enter')
  await page.keyboard.type('two')
  await page.keyboard.press('Enter')
  await page.getByRole('log').getByRole('img', { name: 'delivered' }).waitFor()
  await emulator.sendText({ from: COMPANY, to: CUSTOMER, text })

  const bubbles = page.getByRole('log').locator('.bubble-text')
  await bubbles.filter({ hasText: 'onerror' }).waitFor()
  expect(await bubbles.allTextContents()).toEqual(['one\ntwo', text])
  expect(await page.title()).not.toBe('1')
})

test('a message that cannot be sent stays in sight with its reason, and a second attempt is the same message', async () => {
  await using open = await openPage()
  const { emulator, page } = open
  await page.goto(`${emulator.pageUrl}#/${CUSTOMER}/chat/${COMPANY}`)
  const control = '**/control/sendText'
  await page.route(control, (route) => route.abort())
  await write(page, 'are you there?')
  await message(page, 'are you there?').getByText('Not sent. The emulator does not answer.').waitFor()

  await page.unroute(control)
  await page.getByRole('button', { name: 'Try again' }).click()
  await message(page, 'are you there?')
    .getByRole('img', { name: /sent|delivered/ })
    .waitFor()
  const [chat] = await emulator.chats(COMPANY)
  expect(chat?.messages.map(({ text }) => text)).toEqual(['are you there?'])
  expect(open.complaints.splice(0)).toEqual([expect.stringContaining('ERR_FAILED')])
})

test('a fault happens to the open phone’s companion, and a phone without one says why it cannot', async () => {
  await using open = await openPage()
  const { emulator, page } = open
  using companion = await linkByClick(emulator, page)
  await page.getByLabel('Open a phone').fill(COMPANY)
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: 'Drop' }).click()
  await page.getByText('Drop: done').waitFor()
  await companion.closed()
  await page.getByRole('list', { name: 'Linked numbers' }).getByText('not connected').waitFor()

  await page.getByRole('button', { name: 'Stall' }).click()
  await page.getByText('there is nothing to disturb').waitFor()
})

test('news from elsewhere neither takes the focus nor what is half typed, and does not scroll a reader away', async () => {
  await using open = await openPage()
  const { emulator, page } = open
  for (let number = 1; number <= 60; number += 1)
    await emulator.sendText({ from: COMPANY, to: CUSTOMER, text: `Line ${number}` })
  await page.goto(`${emulator.pageUrl}#/${CUSTOMER}/chat/${COMPANY}`)
  await message(page, 'Line 60').waitFor()
  const log = page.getByRole('log')
  await log.evaluate((node) => node.scrollTo({ top: 0 }))
  await page.getByLabel('Message', { exact: true }).fill('half a sen')

  await emulator.sendText({ from: COMPANY, to: CUSTOMER, text: 'Line 61' })
  await emulator.sendText({ from: '491722222222', to: CUSTOMER, text: 'Hello from somebody else' })

  // The open chat is read, the other one waits.
  await page
    .getByRole('list', { name: 'Customers' })
    .getByRole('button', { name: `${CUSTOMER} 1 unread` })
    .waitFor()
  await page.getByRole('button', { name: 'New messages' }).waitFor()
  expect(await log.evaluate((node) => node.scrollTop)).toBe(0)
  await page.keyboard.type('tence')
  expect(await page.getByLabel('Message', { exact: true }).inputValue()).toBe('half a sentence')
  await page.getByRole('button', { name: 'New messages' }).click()
  await page.getByRole('button', { name: 'New messages' }).waitFor({ state: 'hidden' })
})

test('everything works by keyboard in a window of 400 pixels, and nothing sticks out of it', async () => {
  await using open = await openPage({ width: 400 })
  const { emulator, page } = open
  await page.getByLabel('Open a phone').focus()
  await page.keyboard.type('12')
  await page.keyboard.press('Enter')
  await page.getByText('Write the number with its country code').waitFor()
  await page.getByLabel('Open a phone').fill(CUSTOMER)
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: 'New chat' }).press('Enter')
  await page.getByLabel('Any number').fill(COMPANY)
  await page.keyboard.press('Enter')
  await page.getByLabel('Message', { exact: true }).waitFor()
  await page.keyboard.type('Hi!')
  await page.keyboard.press('Enter')
  await message(page, 'Hi!').waitFor()

  for (const place of [
    '/',
    `/${CUSTOMER}`,
    `/${CUSTOMER}/new`,
    `/${CUSTOMER}/devices`,
    `/${CUSTOMER}/chat/${COMPANY}`,
  ]) {
    await page.goto(`${emulator.pageUrl}#${place}`)
    expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(400)
  }
})

test('a companion that goes away during the scan leaves its error in sight', async () => {
  await using open = await openPage()
  const { emulator, page } = open
  using companion = new BaileysClient(emulator)
  await emulator.announceQr({ qr: await companion.qr() })
  const section = page.getByRole('region', { name: 'Waiting to be linked' })
  await section.getByText('Paste the text').first().waitFor({ state: 'hidden' })
  // The person's click arrives after the companion has closed.
  await page.route('**/control/scanQr', async (route) => {
    await companion.end()
    await until('the code was withdrawn', async () => (await emulator.pendingLinks()).length === 0)
    await route.continue()
  })
  await section.getByRole('button', { name: 'Scan' }).click()

  await section.getByText('This QR code is unknown or has expired.').waitFor()
  await section.getByText('Nobody shows a code at the moment.').waitFor()
})
