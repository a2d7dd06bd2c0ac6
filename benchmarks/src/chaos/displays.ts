import type { Emulator } from 'whatsapp-emulator'

/** What the phones of customers display, and what went over the wire for it, from now on. */
export class Displays {
  /** By text: the WhatsApp ids under which it was displayed, one for each time. */
  readonly byText = new Map<string, string[]>()
  /** By customer: texts in the order in which they were displayed. */
  readonly byCustomer = new Map<string, string[]>()
  /** Messages that a phone or a companion could not decrypt, and asked for again. */
  readonly undecryptable: { about: string; atMs: number }[] = []
  /** Stanzas with messages that had been on the wire before. */
  wireCopies = 0

  constructor(emulator: Emulator) {
    emulator.on('message', ({ id, to, text }) => {
      append(this.byText, text, id)
      append(this.byCustomer, to, text)
    })
    emulator.on('decryptFailure', ({ id, from, to, reason }) => {
      this.undecryptable.push({ about: `${id} from ${from} for ${to}: ${reason}`, atMs: Date.now() })
    })
    emulator.on('retry', ({ id, jid, count }) => {
      this.undecryptable.push({ about: `${id} for ${jid}, asked for the time ${count}`, atMs: Date.now() })
    })
    const onWire = new Set<string>()
    emulator.on('stanza', ({ node: { tag, attrs } }) => {
      if (tag !== 'message' || attrs['id'] === undefined) return
      if (onWire.has(attrs['id'])) this.wireCopies += 1
      onWire.add(attrs['id'])
    })
  }
}

function append(lists: Map<string, string[]>, key: string, value: string): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [value])
  else list.push(value)
}
