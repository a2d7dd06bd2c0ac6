import type { Companion } from '../accounts/companion.ts'
import { deliver, settle } from '../core/delivery.ts'
import { takeBundle } from '../core/key-bundles.ts'
import type { EmulatorState } from '../core/state.ts'
import { encryptedStanza } from '../phones/sending.ts'
import { bundleFromRetryReceipt } from '../signal/key-bundle.ts'
import { type BinaryNode, childOf } from '../wire/nodes.ts'
import { nowInSeconds } from '../wire/stanza-id.ts'

/** A sender repeats a message at most so many times for one device. */
const MAX_REPEATS = 4

/** A companion could not decrypt a message and asks its sender, a phone or another companion, for it again. */
export async function handleRetryReceipt(
  state: EmulatorState,
  companion: Companion,
  receipt: BinaryNode,
): Promise<void> {
  const { id = '', to } = receipt.attrs
  const count = Number(childOf(receipt, 'retry')?.attrs['count'] ?? 1)
  const bundle = bundleFromRetryReceipt(receipt)
  state.counters.retryReceipts++
  state.events.emit('retry', { jid: companion.jid, id, count, hasKeys: bundle !== undefined })
  const sender = state.directory.resolve(to)
  if (!sender) return
  settle(state, companion, { tag: 'message', id, partner: sender.account.phone })
  if (sender.device !== 0) {
    const other = sender.account.companions.get(sender.device)
    const from = sender.addressing === 'lid' ? companion.lidJid : companion.jid
    const attrs = { from, id, type: 'retry', t: nowInSeconds() }
    if (other) deliver(state, other, { tag: 'receipt', attrs, ...(receipt.content && { content: receipt.content }) })
    return
  }
  const { account } = sender
  const message = account.findSent(id)
  if (!message || count > MAX_REPEATS) return
  await account.device.openSession(companion.account.phone, companion.id, bundle ?? takeBundle(state, companion))
  const stanza = await encryptedStanza(state, account, message, companion, { retryCount: count })
  deliver(state, companion, stanza, { acksToIgnore: 1 })
}
