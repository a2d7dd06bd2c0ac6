import type { Account } from '../accounts/account.ts'
import type { Fault } from '../control/control.ts'
import type { EmulatorState } from '../core/state.ts'
import { updateUptime } from '../core/uptime.ts'

/** Of the reasons that WhatsApp gives for a temporary ban: messages to too many people who do not know the sender. */
const BAN_CODE = '101'
const DEFAULT_BAN_SECONDS = 3_600

/** With what, and how often still, logins are refused. */
export interface LoginRefusal {
  reason: string
  remaining: number
  /** When the ban ends, in milliseconds of `performance.now()`; only for reason 402. */
  endsAtMs?: number
}

/** Refuses the logins of one number, or all logins, or accepts them again. */
export function setLoginRefusal(state: EmulatorState, fault: Extract<Fault, { kind: 'refuse_logins' }>): void {
  const holder = fault.phone === undefined ? state : state.directory.account(fault.phone)
  const refusal = fault.isOn ? refusalFrom(fault) : undefined
  change(state, holder, refusal)
  if (refusal?.endsAtMs === undefined) return
  state.timers.after(refusal.endsAtMs - performance.now(), () => {
    if (holder.loginRefusal === refusal) change(state, holder, undefined)
  })
}

/** The attributes of the failure with which a login of this number, or of nobody yet, is refused now, if it is. */
export function takeLoginRefusal(state: EmulatorState, account?: Account): Record<string, string> | undefined {
  const holder = account?.loginRefusal ? account : state
  const refusal = holder.loginRefusal
  if (!refusal) return undefined
  refusal.remaining--
  if (refusal.remaining === 0) change(state, holder, undefined)
  const { reason, endsAtMs } = refusal
  if (endsAtMs === undefined) return { reason }
  return { reason, code: BAN_CODE, expire: String(Math.ceil((endsAtMs - performance.now()) / 1000)) }
}

function refusalFrom(fault: Extract<Fault, { kind: 'refuse_logins'; isOn: true }>): LoginRefusal {
  const { reason, count = Number.POSITIVE_INFINITY, banSeconds = DEFAULT_BAN_SECONDS } = fault
  const refusal = { reason, remaining: count }
  return reason === '402' ? { ...refusal, endsAtMs: performance.now() + banSeconds * 1000 } : refusal
}

function change(state: EmulatorState, holder: EmulatorState | Account, refusal: LoginRefusal | undefined): void {
  holder.loginRefusal = refusal
  updateUptime(state, 'directory' in holder ? state.directory.companions() : holder.companions.values())
}
