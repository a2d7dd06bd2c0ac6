import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** How long a process has to end by itself before it is killed. */
const GRACE_MS = 15_000

/** Asks a process to end and waits until it has; kills it when it does not. */
export async function stopProcess(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return
  const ended = once(child, 'exit')
  const killer = setTimeout(() => child.kill('SIGKILL'), GRACE_MS)
  child.kill('SIGTERM')
  await ended
  clearTimeout(killer)
}

export const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

/** The process's id. Throws when it could not be started. */
export function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error(`${child.spawnfile} could not be started.`)
  return child.pid
}
