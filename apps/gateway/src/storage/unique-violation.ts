import { DatabaseError } from 'pg'

const UNIQUE_VIOLATION = '23505'

/** Whether the database refuses a row because another one has what must be unique: by this constraint, or by any. */
export const isUniqueViolation = (error: unknown, constraint?: string): error is DatabaseError =>
  error instanceof DatabaseError &&
  error.code === UNIQUE_VIOLATION &&
  (constraint === undefined || error.constraint === constraint)
