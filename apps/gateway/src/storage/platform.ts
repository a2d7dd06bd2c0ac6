import type { Database } from './database.ts'

/** Whether a master key has claimed this database: then only that key opens it. */
export async function isClaimed({ worker }: Database): Promise<boolean> {
  const platform = await worker.selectFrom('platform').select('environment').executeTakeFirst()
  return platform !== undefined
}
