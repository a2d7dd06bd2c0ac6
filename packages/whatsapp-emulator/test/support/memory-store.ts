import {
  type AuthenticationCreds,
  type AuthenticationState,
  BufferJSON,
  initAuthCreds,
  type SignalDataTypeMap,
} from 'baileys'

type KeyKind = keyof SignalDataTypeMap

/** A companion's credentials and keys, kept as JSON text as a database would keep them. */
export class MemoryStore {
  creds: AuthenticationCreds = initAuthCreds()
  readonly #keys = new Map<string, string>()

  get auth(): AuthenticationState {
    return {
      creds: this.creds,
      keys: {
        get: async (kind, ids) => {
          const found = ids.flatMap((id) => {
            const text = this.#keys.get(keyOf(kind, id))
            return text === undefined ? [] : [[id, JSON.parse(text, BufferJSON.reviver)]]
          })
          return Object.fromEntries(found)
        },
        set: async (changes) => {
          for (const [kind, values] of Object.entries(changes))
            for (const [id, value] of Object.entries(values ?? {})) this.#set(kind as KeyKind, id, value)
        },
      },
    }
  }

  save(update: Partial<AuthenticationCreds>): void {
    Object.assign(this.creds, update)
  }

  /** As if the process had ended: only what text can hold is left. */
  reload(): void {
    this.creds = JSON.parse(JSON.stringify(this.creds, BufferJSON.replacer), BufferJSON.reviver)
  }

  ids(kind: KeyKind): string[] {
    return [...this.#keys.keys()].filter((key) => key.startsWith(`${kind}/`)).map((key) => key.slice(kind.length + 1))
  }

  lose(kind: KeyKind): void {
    for (const id of this.ids(kind)) this.#keys.delete(keyOf(kind, id))
  }

  #set(kind: KeyKind, id: string, value: unknown): void {
    if (value == null) this.#keys.delete(keyOf(kind, id))
    else this.#keys.set(keyOf(kind, id), JSON.stringify(value, BufferJSON.replacer))
  }
}

function keyOf(kind: KeyKind, id: string): string {
  return `${kind}/${id}`
}
