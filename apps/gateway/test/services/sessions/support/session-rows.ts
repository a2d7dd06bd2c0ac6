import type { TestDatabase } from '../../../support/database.ts'

/** What the database holds of sessions, as tests look at it. */
export const sessionRows = ({ database: { worker } }: TestDatabase) => ({
  /** The transitions that were announced: state and reason. */
  async statesOf(sessionId: string): Promise<[unknown, unknown][]> {
    return (await this.eventsOf(sessionId)).map((data) => [data['state'], data['reason']])
  },
  /** The data of the transitions' events. */
  async eventsOf(sessionId: string): Promise<Record<string, unknown>[]> {
    const rows = await worker
      .selectFrom('event')
      .select('data')
      .where('session_id', '=', sessionId)
      .where('type', '=', 'session.state_changed')
      .orderBy('id')
      .execute()
    return rows.map(({ data }) => data)
  },
  session: (sessionId: string) =>
    worker.selectFrom('session').selectAll().where('id', '=', sessionId).executeTakeFirstOrThrow(),
  async keyCount(sessionId: string, table: 'signal_key' | 'retired_signal_key' = 'signal_key'): Promise<number> {
    const rows = await worker.selectFrom(table).select('id').where('session_id', '=', sessionId).execute()
    return rows.length
  },
  messages: (sessionId: string) =>
    worker.selectFrom('message').selectAll().where('session_id', '=', sessionId).orderBy('id').execute(),
  commands: (sessionId: string) =>
    worker.selectFrom('session_command').selectAll().where('session_id', '=', sessionId).orderBy('id').execute(),
})
