/** Small: a slab is kept alive by the smallest buffer that was cut from it. Bytes. */
const POOL_BYTES = 1024

/**
 * Makes Node cut small buffers from small slabs. A session's keys are small buffers that live as long as the session;
 * cut from the usual slabs of 8 KB they keep several times their size alive.
 */
export function useSmallBufferPool(): void {
  Buffer.poolSize = POOL_BYTES
}
