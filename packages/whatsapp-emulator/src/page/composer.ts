import type { App } from './app.ts'
import { element } from './dom.ts'
import { icon } from './icon.ts'
import type { Outgoing } from './outgoing.ts'

/** After this long without a key, the partner no longer sees "typing". */
const TYPING_ENDS_MS = 4_000
/** WhatsApp's own limit, in UTF-16 code units. */
const MAX_TEXT = 65_536

/** The box to write in: Enter sends, Shift and Enter begins a new line. The partner sees that somebody is typing. */
export function createComposer(app: App, outgoing: Outgoing, chat: { phone: string; with: string }) {
  const box = element('textarea', {
    rows: '1',
    maxlength: String(MAX_TEXT),
    placeholder: 'Write a message',
    'aria-label': 'Message',
    enterkeyhint: 'send',
    dir: 'auto',
  })
  const form = element(
    'form',
    { class: 'composer' },
    box,
    element(
      'button',
      { type: 'submit', class: 'button-round', 'aria-label': 'Send', title: 'Send (Enter)' },
      icon('send'),
    ),
  )
  let timer: ReturnType<typeof setTimeout> | undefined

  function setTyping(isTyping: boolean): void {
    const wasTyping = timer !== undefined
    clearTimeout(timer)
    timer = isTyping ? setTimeout(() => setTyping(false), TYPING_ENDS_MS) : undefined
    if (isTyping === wasTyping) return
    // A decoration: where it fails, sending will tell the person the same trouble in words.
    app.api.setTyping({ from: chat.phone, to: chat.with, isTyping }).catch(() => undefined)
  }

  function send(): void {
    setTyping(false)
    const text = box.value.trim()
    if (text === '') return
    box.value = ''
    outgoing.send(chat.phone, chat.with, text)
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault()
    send()
    box.focus()
  })
  box.addEventListener('keydown', (event) => {
    // While an input method is composing, Enter chooses a character.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
    event.preventDefault()
    send()
  })
  box.addEventListener('input', () => setTyping(box.value.trim() !== ''))
  box.addEventListener('blur', () => setTyping(false))
  return { element: form, focus: () => box.focus({ preventScroll: true }) }
}
