import { type DataDirectory, databaseServerOf, sessionHostsOf } from '../support/data-directory.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'
import { descendants } from '../support/process-figures.ts'
import type { Kill, Victim } from './kill-plan.ts'

/** kill -9 of the part of a running gateway that the plan names. Returns the ids of its processes. */
export function killVictim({ victim, which }: Kill, gateway: GatewayProcess, directory: DataDirectory): number[] {
  const pids = victimsOf(victim, which, gateway.pid, directory)
  for (const pid of pids) process.kill(pid, 'SIGKILL')
  return pids
}

function victimsOf(victim: Victim, which: number, gateway: number, directory: DataDirectory): number[] {
  // The files may also name hosts of an earlier life.
  const running = new Set(descendants(gateway))
  const hosts = sessionHostsOf(directory).filter((pid) => running.has(pid))
  const database = databaseServerOf(directory)
  switch (victim) {
    case 'gateway':
      return [gateway]
    case 'session_host':
      return hosts.slice(Math.floor(which * hosts.length)).slice(0, 1)
    case 'database':
      return [database]
    case 'everything':
      // Its head first, which would start the others again.
      return [gateway, ...hosts, database]
  }
}
