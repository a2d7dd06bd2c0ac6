import type { DataDirectory } from './data-directory.ts'
import { openStore } from './store.ts'

/** Messages in the database of a gateway that has ended. */
export async function countMessages(directory: DataDirectory, direction: 'inbound' | 'outbound'): Promise<number> {
  await using store = await openStore(directory)
  const { count } = await store.database.worker
    .selectFrom('message')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('direction', '=', direction)
    .executeTakeFirstOrThrow()
  return Number(count)
}
