import { type BinaryNode, getBinaryNodeChild, type WASocket } from 'baileys'

/** Below so many one-time pre-keys on the server more are uploaded, to so many. */
const FEW = 50
const ENOUGH = 150

/**
 * Keeps enough pre-keys on the server. Baileys waits until there are fewer than five and then uploads five: a session
 * that is away for a day, or has a busy hour, runs out of them. (whatsmeow uploads 50.)
 *
 * Listens in front of Baileys, whose own upload then waits for this one and is left out. A server that has none, as
 * after the linking, is Baileys' affair: it uploads 812.
 */
export function topUpPreKeys(socket: WASocket): void {
  const topUp = (node: BinaryNode) => {
    const count = Number(getBinaryNodeChild(node, 'count')?.attrs['value'])
    const isFresh = count === 0 && node.tag === 'iq'
    if (isFresh || !(count < FEW)) return
    // Baileys tries several times by itself; after that the next login or notification brings the next attempt.
    socket.uploadPreKeys(ENOUGH - count).catch(() => undefined)
  }
  socket.ws.prependListener('CB:iq,type:result,count', topUp)
  socket.ws.prependListener('CB:notification,type:encrypt,count', topUp)
}
