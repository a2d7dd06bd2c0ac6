import type { Client } from 'pg'

/** What `append_webhook_deliveries` calls its message; no SQLSTATE of anybody else's. Its detail: ids of endpoints. */
const WEBHOOKS_DUE = 'FD001'

/** Hears from a process's own connections for which webhook endpoints their commits have brought deliveries. */
export class DueWebhooks {
  readonly #listeners = new Set<(endpointId: string) => void>()

  /** For each endpoint, after the commit; also after some that were rolled back. Returns the way to stop. */
  listen(listener: (endpointId: string) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** To be called once with each connection. */
  hear(client: Pick<Client, 'on' | 'connection'>): void {
    let said = new Set<string>()
    client.on('notice', ({ code, detail = '' }) => {
      if (code === WEBHOOKS_DUE) for (const endpointId of detail.split(' ')) said.add(endpointId)
    })
    client.connection.on('readyForQuery', ({ status }: { status: string }) => {
      const isInTransaction = status !== 'I'
      if (isInTransaction || said.size === 0) return
      const told = said
      said = new Set()
      for (const endpointId of told) for (const listener of this.#listeners) listener(endpointId)
    })
  }
}
