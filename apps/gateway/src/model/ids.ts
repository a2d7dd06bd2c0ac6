import { v7 } from 'uuid'
import { randomBytes } from './random-bytes.ts'

let lastMs = 0
let sequence = 0

/** A new identifier: UUID v7. Ids of one process sort in the order of their making, also when the clock goes back. */
export function newId(): string {
  const random = randomBytes(16)
  const nowMs = Date.now()
  if (nowMs > lastMs) {
    lastMs = nowMs
    // Of its 32 bits the highest is left for counting.
    sequence = new DataView(random.buffer).getUint32(0) >>> 1
  } else {
    sequence += 1
  }
  return v7({ msecs: lastMs, seq: sequence, random })
}

/** The least id that is made at this moment: what was made before sorts before it. */
export const firstIdAt = (moment: Date): string => v7({ msecs: moment.getTime(), seq: 0, random: new Uint8Array(16) })
