import { element, setAttribute } from './dom.ts'
import { createNumberForm } from './number-form.ts'

export type Scan = (scan: { phone: string; qr: string }) => Promise<void>

interface ScanForm {
  readonly element: HTMLElement
  /** Shows the field for the code's text, or hides it because the code is known. */
  askForCode(isAsked: boolean): void
}

let count = 0

/** Which phone scans a QR code, and the code's text where nobody has told it. */
export function createScanForm(parts: { scan: Scan; phone: string; code?: () => string | undefined }): ScanForm {
  count += 1
  const id = `code-${count}`
  const field = element('textarea', {
    id,
    rows: '2',
    spellcheck: 'false',
    autocomplete: 'off',
    placeholder: 'https://wa.me/settings/linked_devices#…',
  })
  const codeField = element(
    'div',
    { class: 'code-field', hidden: true },
    element('label', { for: id, class: 'label' }, 'Paste the text of the QR code that it shows'),
    field,
  )
  const form = createNumberForm({
    label: 'Phone that scans it',
    button: 'Scan',
    value: parts.phone,
    async submit(phone) {
      const qr = parts.code?.() ?? field.value.trim()
      if (qr === '') throw new Error('Paste the text of the QR code first.')
      await parts.scan({ phone, qr })
      field.value = ''
    },
  })
  return {
    element: element('div', { class: 'scan-form' }, codeField, form.element),
    askForCode: (isAsked) => setAttribute(codeField, 'hidden', !isAsked),
  }
}
