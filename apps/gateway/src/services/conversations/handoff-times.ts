import type { HandoffSettings } from '@frontdesk/api-contract'

/**
 * How long a person is waited for, and thought to be there after the last message: what the company says, or else this. The
 * trigger `message_takes_over` has the latter as well.
 */
export const handoffTimes = ({ waitingMs = 3_600_000, pauseMs = 1_800_000 }: HandoffSettings = {}) => ({
  waitingMs,
  pauseMs,
})
