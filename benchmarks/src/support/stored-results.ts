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

/** How long each session took from `connecting` to `online`, by the event log of a gateway that has ended. Milliseconds. */
export async function readConnectTimes(directory: DataDirectory): Promise<number[]> {
  await using store = await openStore(directory)
  const changes = await store.database.worker
    .selectFrom('event')
    .select(['session_id', 'data', 'created_at'])
    .where('type', '=', 'session.state_changed')
    .orderBy('id')
    .execute()
  const connectingSince = new Map<string | null, number>()
  const times = new Map<string | null, number>()
  for (const { session_id: session, data, created_at: at } of changes) {
    if (data['state'] === 'connecting') connectingSince.set(session, at.getTime())
    const since = connectingSince.get(session)
    if (data['state'] === 'online' && since !== undefined && !times.has(session))
      times.set(session, at.getTime() - since)
  }
  return [...times.values()]
}
