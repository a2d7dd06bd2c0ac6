export interface SaturationOptions {
  /** In each round, over all sessions. */
  messages: number
  sessions: number
  /** Of each session. */
  customers: number
  rounds: number
}
