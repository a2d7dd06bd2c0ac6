/** Why a session's store stopped for good. The names are disconnect reasons as well. */
export type StoreFailure = 'lease_lost' | 'store_failed' | 'rows_refused'

/**
 * Nothing that this store has not committed by now ever will be. The session must send nothing more; its owner opens it
 * again from what the database holds, if the lease is still its own.
 */
export class StoreError extends Error {
  readonly reason: StoreFailure
  constructor(reason: StoreFailure, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'StoreError'
    this.reason = reason
  }
}
