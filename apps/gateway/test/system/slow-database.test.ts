import type { MessageResource } from '@frontdesk/api-contract'
import { expect, test } from 'vitest'
import { connect, connectionConfig } from '#src/storage/connection.ts'
import { joinEmbeddedPostgres } from '#src/storage/embedded/embedded-postgres.ts'
import { until } from '../support/until.ts'
import { FrontDesk, SALON_PHONE } from './support/front-desk.ts'

const PATIENCE = { timeoutMs: 120_000 }

test('a database that takes two seconds for each commit of a message: each is in the inbox once, and answered once', async () => {
  await using desk = await FrontDesk.open({
    batching: { quietMs: 300, maxMs: 2000 },
    responders: [{ kind: 'rules' }],
    fallback: 'Thank you!',
  })
  const { emulator } = desk
  await using server = await joinEmbeddedPostgres(desk.directory)
  const owner = await connect(connectionConfig(server.url))
  await owner.query(`
    create function slow() returns trigger language plpgsql as $$
    begin
      -- Once in a transaction, right before it is committed.
      if current_setting('test.slept', true) is distinct from txid_current()::text then
        perform set_config('test.slept', txid_current()::text, true);
        perform pg_sleep(2);
      end if;
      return null;
    end $$;
    create constraint trigger slow after insert on message deferrable initially deferred
      for each row execute function slow()`)
  await owner.end()

  await emulator.prepareBurst({ to: [SALON_PHONE], customers: 4, each: 80 })
  const sent = await emulator.fireBurst({ perSecond: 40 })
  const messages = await until(() => settled(desk, sent.length), { ...PATIENCE, what: 'all is answered and read' })
  const inbound = messages.filter(({ direction }) => direction === 'inbound')
  expect(inbound.map(({ whatsappId }) => whatsappId).toSorted()).toEqual(sent.map(({ id }) => id).toSorted())
  for (const customer of new Set(sent.map(({ from }) => from))) {
    const turns = new Set(inbound.flatMap(({ contact, turnId }) => (contact.phone === customer ? [turnId] : [])))
    expect(await desk.displayed(customer)).toHaveLength(turns.size)
  }
  expect(await emulator.counters()).toMatchObject({ decryptFailures: 0, retryReceipts: 0 })
}, 240_000)

async function settled(desk: FrontDesk, count: number): Promise<MessageResource[] | undefined> {
  const messages = await desk.messages()
  const inbound = messages.filter(({ direction }) => direction === 'inbound')
  const answers = messages.filter(({ origin, status }) => origin === 'responder' && status === 'read')
  const turns = new Set(inbound.map(({ turnId }) => turnId))
  return inbound.length === count && !turns.has(null) && answers.length === turns.size ? messages : undefined
}
