import { element, setAttribute } from './dom.ts'
import { createNotice } from './notice.ts'
import { parsePhoneNumber } from './phone-number.ts'

interface NumberFormParts {
  label: string
  button: string
  /** What stands in the field at first. */
  value?: string
  /** Called with a valid number; an error is shown under the field. */
  submit(phone: string): Promise<void> | void
}

let count = 0

/** A field for a phone number with a button. What is no phone number is explained under the field. */
export function createNumberForm(parts: NumberFormParts): { element: HTMLFormElement } {
  count += 1
  const id = `number-${count}`
  const input = element('input', {
    id,
    type: 'text',
    inputmode: 'tel',
    autocomplete: 'off',
    placeholder: '491711111111',
    value: parts.value,
    list: 'known-numbers',
    'aria-describedby': `${id}-notice`,
  })
  const notice = createNotice()
  setAttribute(notice.element, 'id', `${id}-notice`)
  const button = element('button', { type: 'submit', class: 'button' }, parts.button)
  const form = element(
    'form',
    { class: 'number-form', novalidate: true },
    element('label', { for: id, class: 'label' }, parts.label),
    element('div', { class: 'field-line' }, input, button),
    notice.element,
  )

  async function submit(): Promise<void> {
    button.disabled = true
    const isDone = await notice.guard(async () => parts.submit(parsePhoneNumber(input.value)))
    button.disabled = false
    if (isDone) form.reset()
    else input.focus()
  }
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    void submit()
  })
  return { element: form }
}
