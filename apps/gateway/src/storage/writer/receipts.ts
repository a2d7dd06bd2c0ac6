import type { ReceiptUpdate } from '#src/model/session-store.ts'

type Status = ReceiptUpdate['status']
const ORDER: readonly Status[] = ['sent', 'delivered', 'read', 'played']

/** How far a message has come, and when it came there. What WhatsApp leaves out follows: what is read was delivered. */
export interface Progress {
  status: Status
  sentAt: Date
  deliveredAt: Date | null
  readAt: Date | null
}

/** One progress for each message of a batch: receipts come in any order, and the furthest counts. */
export function foldReceipts(receipts: readonly ReceiptUpdate[]): Map<string, Progress> {
  const folded = new Map<string, Progress>()
  for (const { whatsappIds, status, at } of receipts)
    for (const whatsappId of whatsappIds) folded.set(whatsappId, further(folded.get(whatsappId), status, at))
  return folded
}

function further(before: Progress | undefined, status: Status, at: Date): Progress {
  const rank = ORDER.indexOf(status)
  const beforeRank = before ? ORDER.indexOf(before.status) : -1
  return {
    status: before && beforeRank > rank ? before.status : status,
    sentAt: earlier(before?.sentAt, at),
    deliveredAt: rank >= ORDER.indexOf('delivered') ? earlier(before?.deliveredAt, at) : (before?.deliveredAt ?? null),
    readAt: rank >= ORDER.indexOf('read') ? earlier(before?.readAt, at) : (before?.readAt ?? null),
  }
}

const earlier = (one: Date | null | undefined, other: Date): Date => (one && one < other ? one : other)
