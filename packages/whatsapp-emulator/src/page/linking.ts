import type { PendingLink } from '../control/control.ts'
import type { App, View } from './app.ts'
import { element, keyedList, setAttribute, setText } from './dom.ts'
import { formatTime } from './format.ts'
import { createNotice } from './notice.ts'
import { createNumberForm } from './number-form.ts'
import { displayNumber, suggestCompany, suggestCustomer } from './phone-number.ts'

/** Companions that show a QR code and wait, each with the phone that shall scan it, and a field for any other code. */
export function createLinking(app: App): View {
  const list = element('ul', { class: 'pending' })
  const empty = element(
    'p',
    { class: 'hint' },
    'Nobody shows a QR code at the moment. As soon as a companion asks to be linked, it appears here.',
  )
  const notice = createNotice()
  const next = element('button', { type: 'button', class: 'button button-quiet', hidden: true })
  const done = element('div', { class: 'link-done' }, notice.element, next)
  let linked: string | undefined

  async function scan(phone: string, qr: string): Promise<void> {
    notice.clear()
    setAttribute(next, 'hidden', true)
    await app.api.scanQr({ phone, qr })
    linked = phone
    notice.say(`${displayNumber(phone)} has scanned the code and is linked.`)
    setText(next, `Write to ${displayNumber(phone)} as a customer`)
    setAttribute(next, 'hidden', false)
    await app.refresh()
  }

  next.addEventListener('click', () => {
    if (linked === undefined) return
    setAttribute(next, 'hidden', true)
    notice.clear()
    app.go({ screen: 'chat', phone: suggestCustomer(app.state.phones), with: linked })
  })

  const suggested = new Map<string, string>()
  const draw = keyedList<PendingLink, HTMLLIElement>(list, {
    key: companionOf,
    create(link) {
      const key = companionOf(link)
      const phone = suggestCompany(app.state.phones, new Set(suggested.values()))
      suggested.set(key, phone)
      const form = createNumberForm({
        label: 'Phone that scans it',
        button: 'Scan',
        value: phone,
        // The code is renewed all the time: scan the one that is shown now, not the one that the form began with.
        submit: (chosen) => scan(chosen, currentCode(key) ?? link.qr),
      })
      return element(
        'li',
        { class: 'pending-link' },
        element(
          'p',
          { class: 'pending-title' },
          element('bdi', { class: 'platform' }),
          element('span', { class: 'moment' }),
        ),
        form.element,
      )
    },
    update(row, link) {
      const [platform, moment] = row.querySelectorAll('.platform, .moment')
      if (platform !== undefined) setText(platform, link.platform === '' ? 'A companion' : link.platform)
      if (moment !== undefined) setText(moment, `since ${formatTime(link.since)}`)
    },
  })

  function currentCode(key: string): string | undefined {
    return app.state.pendingLinks.find((link) => companionOf(link) === key)?.qr
  }

  return {
    element: element(
      'section',
      { class: 'card linking', 'aria-labelledby': 'linking-title' },
      element('h2', { id: 'linking-title' }, 'Waiting to be scanned'),
      empty,
      list,
      done,
      createPasteForm(app, scan),
    ),
    update(state) {
      const waiting = new Set(state.pendingLinks.map(companionOf))
      for (const key of suggested.keys()) if (!waiting.has(key)) suggested.delete(key)
      setAttribute(empty, 'hidden', state.pendingLinks.length > 0)
      draw(state.pendingLinks)
    },
  }
}

/** What stays the same of a companion's code while it is renewed: everything after the server's reference. */
function companionOf(link: PendingLink): string {
  const comma = link.qr.indexOf(',')
  return comma === -1 ? link.qr : link.qr.slice(comma)
}

function createPasteForm(app: App, scan: (phone: string, qr: string) => Promise<void>): HTMLElement {
  const code = element('textarea', {
    id: 'qr-text',
    rows: '2',
    spellcheck: 'false',
    placeholder: 'https://wa.me/settings/linked_devices#…',
  })
  const form = createNumberForm({
    label: 'Phone that scans it',
    button: 'Scan pasted code',
    value: suggestCompany(app.state.phones, new Set()),
    async submit(phone) {
      const qr = code.value.trim()
      if (qr === '') throw new Error('Paste the text that the QR code holds first.')
      await scan(phone, qr)
      code.value = ''
    },
  })
  return element(
    'details',
    { class: 'paste' },
    element('summary', {}, 'Paste a code instead'),
    element('label', { for: 'qr-text', class: 'label' }, 'Text of the QR code'),
    code,
    form.element,
  )
}
