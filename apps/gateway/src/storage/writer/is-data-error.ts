import { DatabaseError } from 'pg'
import { isDiskFull } from '#src/model/disk-full.ts'

/**
 * Classes of SQLSTATE that speak of the server, the connection or the schema, not of the data: connection, transaction
 * state (a standby that takes no writes), rollback by a deadlock, access and definitions, resources, objects in use,
 * operator, system. Another try can succeed.
 */
const TRANSIENT_CLASSES = new Set(['08', '25', '28', '40', '42', '53', '55', '57', '58'])

/**
 * Whether the rows themselves are what the database refuses, so that no further try will help. What does not come from
 * the database, as a broken connection, is no such error.
 */
export const isDataError = (error: unknown): boolean =>
  error instanceof DatabaseError &&
  // A fatal one ends the connection, whatever its code: poolers speak so.
  error.severity === 'ERROR' &&
  !isDiskFull(error) &&
  error.code !== undefined &&
  !TRANSIENT_CLASSES.has(error.code.slice(0, 2))
