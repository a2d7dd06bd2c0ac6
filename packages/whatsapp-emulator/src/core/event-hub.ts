type Listeners<Events> = { [Name in keyof Events]?: Set<(event: Events[Name]) => void> }

/** Typed events: every listener is called at once, in the order in which they came. */
export class EventHub<Events> {
  readonly #listeners: Listeners<Events> = {}

  /** Returns how to stop listening. */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
    const listeners: Set<(event: Events[Name]) => void> = this.#listeners[name] ?? new Set()
    this.#listeners[name] = listeners
    listeners.add(listener)
    return () => listeners.delete(listener)
  }

  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    for (const listener of this.#listeners[name] ?? []) listener(event)
  }
}
