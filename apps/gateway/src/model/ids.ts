import { v7 } from 'uuid'

/** A new identifier: UUID v7, so that ids sort by the time of their making. */
export const newId = (): string => v7()

/** The least id that is made at this moment: what was made before sorts before it. */
export const firstIdAt = (moment: Date): string => v7({ msecs: moment.getTime(), seq: 0, random: new Uint8Array(16) })
