import type { Account } from '../accounts/account.ts'
import type { Phone } from '../control/control.ts'
import type { EmulatorState } from '../core/state.ts'

/** The phones that somebody can have met: those with companions and those with chats. */
export function listPhones(state: EmulatorState): Phone[] {
  return [...state.directory.accounts()]
    .filter((account) => account.companions.size > 0 || account.hasChats)
    .map((account) => describePhone(state, account))
}

function describePhone(state: EmulatorState, account: Account): Phone {
  const devices = [...account.companions.values()].map(({ id, jid, platform, connection }) => ({
    id,
    jid,
    platform,
    isConnected: connection !== undefined,
  }))
  const chats = account.chats().map(({ partner, unread, isTyping, last }) => ({
    with: partner,
    name: state.directory.account(partner).name,
    unread,
    isTyping,
    ...(last && { last: { ...last } }),
  }))
  return { phone: account.phone, lid: account.lid, name: account.name, devices, chats }
}
