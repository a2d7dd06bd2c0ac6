import { readFileSync, statSync } from 'node:fs'
import { FrontdeskError } from '#src/model/errors.ts'

/** The user that the database server runs as. */
export interface ServerAccount {
  uid: number
  gid: number
}

/**
 * Postgres refuses to run as root. So as root the server gets the user that owns its files already, or else `nobody`,
 * who exists everywhere. As a plain user it runs as that user: undefined.
 */
export function serverAccount(serverDirectory: string): ServerAccount | undefined {
  if (process.getuid?.() !== 0) return undefined
  const owner = statSync(serverDirectory, { throwIfNoEntry: false })
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  const nobody = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name]) => name === 'nobody')
  const uid = Number(nobody?.[2])
  const gid = Number(nobody?.[3])
  if (!uid || !gid)
    throw new FrontdeskError(
      'embedded_database_failed',
      'It never runs as root, and this system has no user `nobody`. Start Frontdesk as another user, or set DATABASE_URL.',
    )
  return { uid, gid }
}
