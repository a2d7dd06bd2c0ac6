import { type App, messageOf } from './app.ts'
import type { OutgoingText } from './state.ts'

/** Sends what is typed, in the order in which it was typed in each chat. */
export interface Outgoing {
  send(from: string, to: string, text: string): void
  retry(id: string): void
  discard(id: string): void
}

export function createOutgoing(app: App): Outgoing {
  /** The last send of each chat; gone when it has ended. */
  const lanes = new Map<string, Promise<void>>()

  function change(id: string, alter: (entry: OutgoingText) => OutgoingText | undefined): void {
    const outgoing = app.state.outgoing.flatMap((entry) => (entry.id === id ? (alter(entry) ?? []) : entry))
    app.update({ outgoing })
  }

  async function deliver({ id, from, to, text }: OutgoingText): Promise<void> {
    try {
      await app.api.sendText({ from, to, text, id })
      // Read again before the entry goes, so that its bubble does not vanish for a moment.
      void app.refresh().then(() => change(id, () => undefined))
    } catch (error) {
      change(id, (entry) => ({ ...entry, error: messageOf(error) }))
    }
  }

  function enqueue(entry: OutgoingText): void {
    const lane = `${entry.from} ${entry.to}`
    const sent = (lanes.get(lane) ?? Promise.resolve()).then(() => deliver(entry))
    lanes.set(lane, sent)
    void sent.then(() => {
      if (lanes.get(lane) === sent) lanes.delete(lane)
    })
  }

  return {
    send(from, to, text) {
      const entry = { id: newMessageId(), from, to, text, at: new Date().toISOString() }
      app.update({ outgoing: [...app.state.outgoing, entry] })
      enqueue(entry)
    },
    retry(id) {
      const failed = app.state.outgoing.find((entry) => entry.id === id)
      if (failed === undefined) return
      const { error: _error, ...entry } = failed
      change(id, () => entry)
      enqueue(entry)
    },
    discard(id) {
      change(id, () => undefined)
    },
  }
}

/** An id such as a phone makes: `3A` and 18 more hexadecimal digits. */
function newMessageId(): string {
  const digits = Array.from(crypto.getRandomValues(new Uint8Array(9)), (byte) => byte.toString(16).padStart(2, '0'))
  return `3A${digits.join('').toUpperCase()}`
}
