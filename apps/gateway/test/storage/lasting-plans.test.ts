import {
  DummyDriver,
  Kysely,
  type LogEvent,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import type { Turn } from '#src/model/turn.ts'
import { closeTurn, holdTurn } from '#src/storage/answer-turn.ts'
import { connect, connectionConfig, LASTING_PLANS } from '#src/storage/connection.ts'
import { claimDeliveries, keepClaims, listDueEndpoints, storeOutcomes } from '#src/storage/delivery-claims.ts'
import { type Lease, LeaseLostError } from '#src/storage/leases.ts'
import { acceptStatement } from '#src/storage/message-acceptor.ts'
import { readMessages } from '#src/storage/message-list.ts'
import { setOptOut } from '#src/storage/opt-outs.ts'
import type { Schema } from '#src/storage/schema-types.ts'
import { listPastMessages, openTurn, readOpenTurn } from '#src/storage/turns.ts'
import { listOpenTurns, listWaitingChats, nextHeldUntil } from '#src/storage/waiting-turns.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

/** A node of a plan, as far as it tells how rows are found. */
interface PlanNode {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Index Cond'?: string
  Plans?: PlanNode[]
}

let testDatabase: TestDatabase
beforeAll(async () => {
  testDatabase = await createTestDatabase()
})
afterAll(() => testDatabase[Symbol.asyncDispose]())

/** The statements that the work runs, with a database that finds nothing. */
async function statementsOf(work: (db: Kysely<Schema>) => Promise<unknown>): Promise<string[]> {
  const texts: string[] = []
  const db = new Kysely<Schema>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (introspected) => new PostgresIntrospector(introspected),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
    log: ({ query }: LogEvent) => void texts.push(query.sql),
  })
  // There is no lease either.
  await work(db).catch((error: unknown) => expect(error).toBeInstanceOf(LeaseLostError))
  return texts
}

/** How each table with many rows is looked through. */
async function scansOf(text: string): Promise<string[]> {
  const client = await connect(connectionConfig(testDatabase.url, 'frontdesk_worker', LASTING_PLANS))
  try {
    const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
      `explain (generic_plan, format json) ${text}`,
    )
    const scans: string[] = []
    const visit = (node: PlanNode) => {
      const place = node['Index Name'] ?? node['Relation Name']
      // What a bitmap of rows was made from stands below it.
      if (place !== undefined && / Scan$/.test(node['Node Type']) && node['Node Type'] !== 'Bitmap Heap Scan')
        scans.push(`${node['Node Type']} of ${place}: ${node['Index Cond'] ?? 'all'}`)
      node.Plans?.forEach(visit)
    }
    for (const { Plan } of rows[0]?.['QUERY PLAN'] ?? []) visit(Plan)
    return scans
  } finally {
    await client.end()
  }
}

const [companyId, sessionId, contactId, turnId] = [newId(), newId(), newId(), newId()]
const lease: Lease = { sessionId, companyId, nodeId: newId(), epoch: 1 }
const turn = { session: { id: sessionId }, contact: { id: contactId }, messages: [{ id: newId() }] } as unknown as Turn
const now = new Date()

/** The first column of the index is given, and more of it where many rows have the same. */
const FINDS_FEW =
  /_pkey: \(id = |: \(+(session_id|contact_id|turn_id|endpoint_id) = |: \(\(company_id = .* AND \((id|day|transaction|kind|idempotency_key) = /

describe('planned while the tables are empty, a statement looks rows up by an index that has few for it', () => {
  test.each<[string, (db: Kysely<Schema>) => Promise<unknown>]>([
    ['opening a turn', (db) => openTurn(db, lease, { turnId, contactId, contactIds: [contactId], limit: 5 })],
    ['reading a turn', (db) => readOpenTurn(companyId, db, turnId)],
    ['what was written before', (db) => listPastMessages(db, turn, 10)],
    ['closing a turn', (db) => closeTurn({ worker: db }, lease, { turnId, responder: null, messages: [] })],
    ['holding a turn', (db) => holdTurn(companyId, db, { turnId, until: now, messages: [] })],
    [
      'opting out',
      (db) => db.transaction().execute((own) => setOptOut(companyId, own, { contactId, isOptedOut: true })),
    ],
    ['open turns of a session', (db) => listOpenTurns(companyId, db, { sessionId, now, limit: 5 })],
    ['held turns of a session', (db) => nextHeldUntil(companyId, db, { sessionId, now })],
    ['waiting chats of a session', (db) => listWaitingChats(companyId, db, sessionId, 5)],
    ['messages of deliveries', (db) => readMessages(db, [newId()])],
    ['claiming deliveries', (db) => claimDeliveries(db, [{ endpointId: newId(), room: 5 }])],
    ['keeping claims', (db) => keepClaims(db, [])],
    ['storing outcomes', (db) => storeOutcomes(db, [])],
  ])('%s', async (_, work) => {
    const statements = await statementsOf(work)
    expect(statements).not.toHaveLength(0)
    for (const scan of (await Promise.all(statements.map(scansOf))).flat()) {
      expect(scan).toMatch(FINDS_FEW)
    }
  })

  test('accepting messages', async () => {
    for (const scan of await scansOf(acceptStatement([]).text)) expect(scan).toMatch(FINDS_FEW)
  })

  test('endpoints with something due are walked through one by one', async () => {
    const [text] = await statementsOf(listDueEndpoints)
    expect((await scansOf(text ?? '')).filter((scan) => scan.includes('webhook_delivery'))).toEqual([
      'Index Only Scan of webhook_delivery_lane: all',
      expect.stringMatching(/: \(endpoint_id > /),
      expect.stringMatching(/_due: \(\(endpoint_id = .* AND \(next_attempt_at <= /),
    ])
  })
})
