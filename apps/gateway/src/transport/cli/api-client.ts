import { problem } from '@frontdesk/api-contract'
import { ERRORS, type ErrorCode, FrontdeskError } from '#src/model/errors.ts'

/** Calls the API as any integrator would: over HTTP, with a key. Rejects with `FrontdeskError` for what the API refuses. */
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

  put<Answer>(path: string, body: unknown): Promise<Answer> {
    return this.#call<Answer>('PUT', path, body)
  }

  patch<Answer>(path: string, body: unknown): Promise<Answer> {
    return this.#call<Answer>('PATCH', path, body)
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
    }).catch((cause: unknown) => {
      throw new FrontdeskError('gateway_unreachable', `No gateway answers at ${this.#baseUrl}.`, { cause })
    })
    if (response.ok) return response
    // Whatever else listens there does not speak of problems.
    const parsed = problem.safeParse(await response.json().catch(() => undefined))
    if (!parsed.success || !isErrorCode(parsed.data.code))
      throw new FrontdeskError('gateway_unreachable', `What answers at ${this.#baseUrl} is not Frontdesk.`)
    const { code, detail, errors = [] } = parsed.data
    const details = [detail, ...errors.map(({ field, message }) => `${field} ${message}`)]
    throw new FrontdeskError(code, details.filter((each) => each !== undefined).join('\n') || undefined)
  }
}

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERRORS, code)
