import type { Problem } from '@frontdesk/api-contract'

/** Calls the API as any integrator would: over HTTP, with a key. */
export class ApiClient {
  readonly #baseUrl: string
  readonly #key: string

  constructor(baseUrl: string, key: string) {
    this.#baseUrl = baseUrl
    this.#key = key
  }

  get<Answer>(path: string): Promise<Answer> {
    return this.#call<Answer>('GET', path)
  }

  post<Answer>(path: string, body: unknown = {}): Promise<Answer> {
    return this.#call<Answer>('POST', path, body)
  }

  async text(path: string): Promise<string> {
    return (await this.#fetch('GET', path)).text()
  }

  async #call<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await this.#fetch(method, path, body)
    return (await response.json()) as Answer
  }

  async #fetch(method: string, path: string, body?: unknown): Promise<Response> {
    const response = await fetch(new URL(path, this.#baseUrl), {
      method,
      headers: {
        authorization: `Bearer ${this.#key}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (!response.ok) {
      const problem = (await response.json()) as Problem
      throw new Error(`${method} ${path}: ${problem.title} ${problem.detail ?? ''}`)
    }
    return response
  }
}
