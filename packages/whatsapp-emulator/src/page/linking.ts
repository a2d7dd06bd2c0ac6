import type { PendingLink } from '../control/control.ts'
import type { App, View } from './app.ts'
import { element, keyedList, setAttribute, setText } from './dom.ts'
import { formatTime } from './format.ts'
import { createNotice } from './notice.ts'
import { createPairingForm } from './pairing-form.ts'
import { displayNumber, suggestCompany, suggestCustomer } from './phone-number.ts'
import { createScanForm, type Scan } from './scan-form.ts'

/**
 * Companions that wait to be linked, each with the phone that shall scan its QR code or, where it has asked for one, a
 * field for its pairing code; and a field for any other QR code.
 */
export function createLinking(app: App): View {
  const list = element('ul', { class: 'pending' })
  const empty = element(
    'p',
    { class: 'hint' },
    'Nobody shows a code at the moment. As soon as a companion asks to be linked, it appears here.',
  )
  const outcome = createOutcome(app)
  const link = async (phone: string, accept: () => Promise<unknown>): Promise<void> => {
    outcome.clear()
    await accept()
    outcome.show(phone)
    await app.refresh()
  }
  const scan: Scan = (code) => link(code.phone, () => app.api.scanQr(code))
  const pending = createPendingList(app, list, link, outcome.fail)
  const paste = createScanForm({ scan, phone: suggestCompany(app.state.phones, new Set()) })
  paste.askForCode(true)

  return {
    element: element(
      'section',
      { class: 'card linking', 'aria-labelledby': 'linking-title' },
      element('h2', { id: 'linking-title' }, 'Waiting to be linked'),
      empty,
      list,
      outcome.element,
      element('details', { class: 'paste' }, element('summary', {}, 'Paste a code instead'), paste.element),
    ),
    update(state) {
      setAttribute(empty, 'hidden', state.pendingLinks.length > 0)
      pending(state.pendingLinks)
    },
  }
}

type Link = (phone: string, accept: () => Promise<unknown>) => Promise<void>

/** What is remembered of each waiting companion, as long as it waits. */
interface Waiting {
  phone: string
  scanForm: ReturnType<typeof createScanForm>
  pairingForm: ReturnType<typeof createPairingForm>
}

/** `onLost` gets the error of a linking whose companion has gone meanwhile, and with it the row where errors stand. */
function createPendingList(
  app: App,
  list: HTMLElement,
  link: Link,
  onLost: (error: unknown) => void,
): (links: readonly PendingLink[]) => void {
  const companions = new Map<string, Waiting>()
  const draw = keyedList<PendingLink, HTMLLIElement>(list, {
    key: (link) => link.id,
    create({ id }) {
      const taken = new Set([...companions.values()].map((companion) => companion.phone))
      const phone = suggestCompany(app.state.phones, taken)
      const now = (): PendingLink | undefined => app.state.pendingLinks.find((link) => link.id === id)
      const attempt: Link = async (number, accept) => {
        try {
          await link(number, accept)
        } catch (error) {
          await app.refresh()
          if (now() === undefined) onLost(error)
          throw error
        }
      }
      const scanForm = createScanForm({
        scan: (code) => attempt(code.phone, () => app.api.scanQr(code)),
        phone,
        // The code is renewed all the time: scan the one that is shown now.
        code: () => now()?.qr,
      })
      const pairingForm = createPairingForm((entry) => attempt(entry.phone, () => app.api.enterPairingCode(entry)))
      companions.set(id, { phone, scanForm, pairingForm })
      const platform = element('bdi', { class: 'platform' })
      return element(
        'li',
        { class: 'pending-link' },
        element('p', { class: 'pending-title' }, platform, element('span', { class: 'moment' })),
        scanForm.element,
        pairingForm.element,
      )
    },
    update(row, { id, platform: name, since, qr, pairingPhone }) {
      const [platform, moment] = row.querySelectorAll('.platform, .moment')
      if (platform !== undefined) setText(platform, name === '' ? 'A companion' : name)
      if (moment !== undefined) setText(moment, `since ${formatTime(since)}`)
      const waiting = companions.get(id)
      // Who shows a pairing code shows no QR code at the same time.
      if (waiting !== undefined) setAttribute(waiting.scanForm.element, 'hidden', pairingPhone !== undefined)
      waiting?.scanForm.askForCode(qr === undefined)
      waiting?.pairingForm.askFor(pairingPhone)
    },
  })
  return (links) => {
    const waiting = new Set(links.map((link) => link.id))
    for (const id of companions.keys()) if (!waiting.has(id)) companions.delete(id)
    draw(links)
  }
}

/** How the last scan went, with the step that most people take next. */
function createOutcome(app: App) {
  const notice = createNotice()
  const next = element('button', { type: 'button', class: 'button', hidden: true })
  let linked: string | undefined

  function clear(): void {
    notice.clear()
    setAttribute(next, 'hidden', true)
  }
  next.addEventListener('click', () => {
    clear()
    if (linked !== undefined) app.go({ screen: 'chat', phone: suggestCustomer(app.state.phones), with: linked })
  })
  return {
    element: element('div', { class: 'link-done' }, notice.element, next),
    clear,
    fail: (error: unknown): void => notice.fail(error),
    show(phone: string): void {
      linked = phone
      notice.say(`${displayNumber(phone)} has accepted the code and is linked.`)
      setText(next, 'Write to it as a customer')
      setAttribute(next, 'hidden', false)
    },
  }
}
