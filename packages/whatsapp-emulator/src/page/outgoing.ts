import { type App, messageOf } from './app.ts'
import type { OutgoingText } from './state.ts'

/** Sends what is typed, in the order in which it was typed in each chat. */
export interface Outgoing {
  send(from: string, to: string, text: string): void
  retry(key: string): void
  discard(key: string): void
}

export function createOutgoing(app: App): Outgoing {
  /** The last send of each chat; gone when it has ended. */
  const lanes = new Map<string, Promise<void>>()
  let count = 0

  function change(key: string, alter: (entry: OutgoingText) => OutgoingText | undefined): void {
    const outgoing = app.state.outgoing.flatMap((entry) => (entry.key === key ? (alter(entry) ?? []) : entry))
    app.update({ outgoing })
  }

  async function deliver({ key, from, to, text }: OutgoingText): Promise<void> {
    try {
      const { id } = await app.api.sendText({ from, to, text })
      change(key, (entry) => ({ ...entry, id }))
      // Read again before the entry goes, so that its bubble does not vanish for a moment.
      void app.refresh().then(() => change(key, () => undefined))
    } catch (error) {
      change(key, (entry) => ({ ...entry, error: messageOf(error) }))
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
      count += 1
      const entry = { key: `outgoing-${count}`, from, to, text, at: new Date().toISOString() }
      app.update({ outgoing: [...app.state.outgoing, entry] })
      enqueue(entry)
    },
    retry(key) {
      const failed = app.state.outgoing.find((entry) => entry.key === key)
      if (failed === undefined) return
      const { error: _error, ...entry } = failed
      change(key, () => entry)
      enqueue(entry)
    },
    discard(key) {
      change(key, () => undefined)
    },
  }
}
