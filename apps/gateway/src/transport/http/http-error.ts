import type { Problem } from '@frontdesk/api-contract'
import type { z } from 'zod'
import { FrontdeskError } from '#src/model/errors.ts'

export type FieldErrors = NonNullable<Problem['errors']>

/** A request that is not valid, with what is wrong in each field. */
export class RequestError extends FrontdeskError {
  readonly errors: FieldErrors
  constructor(errors: FieldErrors) {
    super('invalid_request')
    this.errors = errors
  }
}

/** Validation issues by field. The messages never repeat what was sent. */
export function fieldErrors(issues: readonly z.core.$ZodIssue[]): FieldErrors {
  return issues.flatMap((issue) => {
    const path = issue.path.map(String)
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({ field: [...path, key].join('.'), message: 'This field is not known.' }))
    }
    return [{ field: path.join('.') || 'body', message: issue.message }]
  })
}
