import type { FastifyInstance, FastifyRequest } from 'fastify'
import { FrontdeskError } from '#src/model/errors.ts'
import { holdsNul } from '#src/model/text.ts'
import { type FieldErrors, RequestError } from './http-error.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** JSON in UTF-8 is the only body that is read. An empty one counts as none, since some clients always name the type. */
export function readJsonOnly(server: FastifyInstance): void {
  const parse = server.getDefaultJsonParser('error', 'error')
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    if (body.length === 0) return done(null, undefined)
    let text: string
    try {
      text = utf8.decode(body)
    } catch (error) {
      return done(new FrontdeskError('invalid_json', 'It is not UTF-8.', { cause: error }), undefined)
    }
    return parse(request, text, done)
  })
  server.addHook('preValidation', async (request) => {
    const errors = [...unstorable(request.body, []), ...unstorable(request.query, [])]
    if (errors.length > 0) throw new RequestError(errors)
    if (request.routeOptions.schema?.body === undefined) refuseBody(request)
  })
}

function refuseBody({ body }: FastifyRequest): void {
  if (body === undefined || body === null) return
  const fields = typeof body === 'object' ? Object.keys(body) : ['body']
  if (fields.length > 0) throw new RequestError(fields.map((field) => ({ field, message: 'This field is not known.' })))
}

/** Strings that Postgres cannot hold. */
function* unstorable(value: unknown, path: readonly string[]): Generator<FieldErrors[number]> {
  const field = path.join('.')
  if (typeof value === 'string') {
    if (holdsNul(value)) yield { field, message: 'Must not hold the character NUL (U+0000).' }
    if (!value.isWellFormed()) yield { field, message: 'Must be valid Unicode: it holds half of a surrogate pair.' }
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      if (holdsNul(key) || !key.isWellFormed()) yield { field, message: 'A field has an invalid name.' }
      else yield* unstorable(item, [...path, key])
    }
  }
}
