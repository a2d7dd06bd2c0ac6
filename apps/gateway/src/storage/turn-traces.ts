import type { TurnTrace } from '@frontdesk/api-contract'
import { type ExpressionBuilder, type Kysely, type Selectable, sql } from 'kysely'
import type { Schema } from './schema-types.ts'

/** `held`: open, and not to be answered before a moment that is set. */
export interface TurnFilter {
  sessionId?: string | undefined
  /** Also one that was merged into another. */
  contactId?: string | undefined
  conversationId?: string | undefined
  state?: 'open' | 'held' | 'answered' | 'unanswered' | undefined
  /** The last id of the page before. */
  before?: string | undefined
  limit: number
}

export type ListedTurn = Selectable<Schema['turn']> & { received: string[]; sent: string[] }

/** As a subquery: they are looked up for the page alone. */
const messageIds = (direction: 'inbound' | 'outbound') =>
  sql<string[]>`array(select id from message where turn_id = turn.id and direction = ${direction} order by id)`

const selectTurns = (companyId: string, db: Kysely<Schema>) =>
  db
    .selectFrom('turn')
    .selectAll('turn')
    .select([messageIds('inbound').as('received'), messageIds('outbound').as('sent')])
    .where('turn.company_id', '=', companyId)

/** With its trace, as long as there is one. */
export const findTurn = (
  companyId: string,
  db: Kysely<Schema>,
  turnId: string,
): Promise<(ListedTurn & { trace: TurnTrace | null }) | undefined> =>
  selectTurns(companyId, db)
    .leftJoin('turn_trace', 'turn_trace.turn_id', 'turn.id')
    .select('turn_trace.trace')
    .where('turn.id', '=', turnId)
    .executeTakeFirst()

/** Newest first. */
export function listTurns(
  companyId: string,
  db: Kysely<Schema>,
  { sessionId, contactId, conversationId, state, before, limit }: TurnFilter,
): Promise<ListedTurn[]> {
  let query = selectTurns(companyId, db).orderBy('turn.id', 'desc').limit(limit)
  if (sessionId !== undefined) query = query.where('turn.session_id', '=', sessionId)
  if (conversationId !== undefined) query = query.where('turn.conversation_id', '=', conversationId)
  if (contactId !== undefined) {
    const survivor = sql<string>`coalesce((select merged_into from contact where id = ${contactId}), ${contactId}::uuid)`
    query = query.where('turn.contact_id', '=', survivor)
  }
  if (state !== undefined) query = query.where(isIn(state))
  if (before !== undefined) query = query.where('turn.id', '<', before)
  return query.execute()
}

const isIn = (state: NonNullable<TurnFilter['state']>) => (where: ExpressionBuilder<Schema, 'turn'>) =>
  state === 'open' || state === 'held'
    ? where.and([where('turn.state', '=', 'open'), where('turn.held_until', state === 'held' ? 'is not' : 'is', null)])
    : where('turn.state', '=', state)
