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

/** The session hosts of this gateway: the files may also name those of an earlier life. */
export function runningHosts(gateway: number, directory: DataDirectory): number[] {
  const running = new Set(descendants(gateway))
  return sessionHostsOf(directory).filter((pid) => running.has(pid))
}

function victimsOf(victim: Victim, which: number, gateway: number, directory: DataDirectory): number[] {
  const hosts = runningHosts(gateway, directory)
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
