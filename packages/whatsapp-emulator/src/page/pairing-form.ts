import { element, setAttribute, setText } from './dom.ts'
import { createNotice } from './notice.ts'
import { displayNumber } from './phone-number.ts'

interface PairingForm {
  readonly element: HTMLFormElement
  /** Shows the form for the number whose code is awaited, or hides it. */
  askFor(phone: string | undefined): void
}

let count = 0

/** Where the phone's owner types the pairing code that a companion shows. An error is shown under the field. */
export function createPairingForm(enter: (entry: { phone: string; code: string }) => Promise<void>): PairingForm {
  count += 1
  const id = `pairing-${count}`
  const label = element('label', { for: id, class: 'label' })
  const field = element('input', {
    id,
    type: 'text',
    autocomplete: 'off',
    autocapitalize: 'characters',
    spellcheck: 'false',
    placeholder: 'ABCD-EFGH',
    'aria-describedby': `${id}-notice`,
  })
  const notice = createNotice()
  setAttribute(notice.element, 'id', `${id}-notice`)
  const button = element('button', { type: 'submit', class: 'button' }, 'Link')
  const line = element('div', { class: 'field-line' }, field, button)
  const form = element('form', { class: 'number-form', novalidate: true, hidden: true }, label, line, notice.element)
  let awaited: string | undefined

  async function submit(phone: string): Promise<void> {
    button.disabled = true
    const isDone = await notice.guard(() => enter({ phone, code: field.value }))
    button.disabled = false
    if (!isDone) field.focus()
  }
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    if (awaited !== undefined) void submit(awaited)
  })
  return {
    element: form,
    askFor(phone) {
      awaited = phone
      setAttribute(form, 'hidden', phone === undefined)
      if (phone !== undefined) setText(label, `Pairing code for ${displayNumber(phone)}`)
    },
  }
}
