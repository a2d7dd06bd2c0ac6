import { PROBLEM_MEDIA_TYPE, problem } from '@frontdesk/api-contract'
import type { z } from 'zod'
import { ERRORS, type ErrorCode } from '#src/model/errors.ts'

interface DocumentedResponse {
  description: string
  content: Record<string, { schema: z.ZodType }>
}

/** A route's JSON answer, with its documentation. */
export const answer = <Schema extends z.ZodType>(description: string, schema: Schema) => ({
  description,
  content: { 'application/json': { schema } },
})

/** The error responses of a route for its documentation, by status. What every route can answer is added to `codes`. */
export function problems(...codes: ErrorCode[]): Record<number, DocumentedResponse> {
  const byStatus = new Map<number, ErrorCode[]>()
  for (const code of new Set<ErrorCode>([...codes, 'internal', 'unavailable', 'database_full'])) {
    const { status } = ERRORS[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  return Object.fromEntries(
    [...byStatus].map(([status, group]) => [
      status,
      {
        // Markdown takes what stands in angle brackets for HTML, and shows nothing.
        description: group.map((code) => `\`${code}\`: ${ERRORS[code].title.replaceAll('<', '&lt;')}`).join('\n\n'),
        content: { [PROBLEM_MEDIA_TYPE]: { schema: problem } },
      },
    ]),
  )
}

/** What any route behind a key can answer. */
export const ACCESS_PROBLEMS = ['api_key_missing', 'api_key_invalid', 'api_key_wrong_scope'] as const
/** What any route with a body can answer. */
export const BODY_PROBLEMS = ['invalid_json', 'invalid_request', 'unsupported_media_type', 'body_too_large'] as const
