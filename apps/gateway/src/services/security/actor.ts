/** Who asks for a change, for the audit. */
export interface Actor {
  /** Null for the command line. */
  apiKeyId: string | null
}

/** Someone at the machine's command line. */
export const OPERATOR: Actor = { apiKeyId: null }
