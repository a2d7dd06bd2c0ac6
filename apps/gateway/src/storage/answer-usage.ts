import { type Kysely, sql } from 'kysely'
import type { AnswerUsage } from '#src/model/turn.ts'
import type { Schema } from './schema-types.ts'

/** What the company's answers of today, a day of UTC, have been and have cost so far. */
export async function readUsageToday(companyId: string, db: Kysely<Schema>): Promise<AnswerUsage> {
  const { rows } = await sql<AnswerUsage>`
    select turns, cost_micros as "costMicros" from answer_usage
    where company_id = ${companyId} and day = (now() at time zone 'UTC')::date`.execute(db)
  return rows[0] ?? { turns: 0, costMicros: 0 }
}

/** Counts an answer that no customer got. */
export async function addUsage(
  companyId: string,
  db: Kysely<Schema>,
  { inputTokens, outputTokens, costMicros }: { inputTokens: number; outputTokens: number; costMicros: number },
): Promise<void> {
  await sql`
    insert into answer_usage as today (company_id, day, turns, input_tokens, output_tokens, cost_micros)
    values (${companyId}, (now() at time zone 'UTC')::date, 1, ${inputTokens}, ${outputTokens}, ${costMicros})
    on conflict (company_id, day) do update set turns = today.turns + 1,
      input_tokens = today.input_tokens + excluded.input_tokens,
      output_tokens = today.output_tokens + excluded.output_tokens,
      cost_micros = today.cost_micros + excluded.cost_micros`.execute(db)
}
