import {
  type BinaryNode,
  DEFAULT_CONNECTION_CONFIG,
  initAuthCreds,
  proto,
  type SignalKeyStoreWithTransaction,
} from 'baileys'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Emulator, startEmulator, type WireEntry } from 'whatsapp-emulator'
import type { SessionChange } from '#src/model/session-store.ts'
import { baileysLogger } from '#src/providers/baileys/baileys-logger.ts'
import { createBaileysProvider } from '#src/providers/baileys/create-baileys-provider.ts'
import { durableSignalRepository } from '#src/providers/baileys/durable-signal-repository.ts'
import { RatchetStore } from '#src/providers/baileys/ratchet-store.ts'
import { hashOf, ReceivedMessages, withPadding } from '#src/providers/baileys/received-messages.ts'
import type { Provider } from '#src/providers/provider.ts'
import { until } from '../support/until.ts'
import { MemorySessionStore } from './support/memory-session-store.ts'
import { MemoryContactBook, type OpenSession, TestSession } from './support/test-session.ts'

/** The kinds of keys that this change writes, or deletes, marked by a minus. */
const kindsOf = ({ keys = [] }: SessionChange): string[] =>
  [...new Set(keys.map(({ kind, encode }) => (encode ? kind : `-${kind}`)))].toSorted()

/** Remembers each change as it was published: what stands in one is committed together. */
class ObservedStore extends MemorySessionStore {
  readonly changes: SessionChange[] = []

  override publish(change: SessionChange): number {
    this.changes.push(change)
    return super.publish(change)
  }

  /** The kinds of the change that brings this message. */
  kindsWith(whatsappId: string): string[] | undefined {
    const change = this.changes.find(({ messages = [] }) =>
      messages.some((message) => message.whatsappId === whatsappId),
    )
    return change && kindsOf(change)
  }
}

let emulator: Emulator
let provider: Provider
let store: ObservedStore
let session: TestSession
let company: string
let customer: string
let numbers = 0

beforeAll(async () => {
  emulator = await startEmulator({ behaviour: { sendsHistory: false, receipts: 'none' } })
  provider = createBaileysProvider({ emulator })
})
beforeEach(async () => {
  numbers += 1
  company = `4917000000${String(numbers).padStart(2, '0')}`
  customer = `4917199900${String(numbers).padStart(2, '0')}`
  store = new ObservedStore()
  session = new TestSession({ provider, store })
  await emulator.configure({ sendsHistory: false })
})
afterAll(() => emulator.close())

const lastFrame = async () => (await emulator.wire()).at(-1)?.number ?? 0
const framesSince = async (after: number, isOne: (frame: WireEntry) => boolean) =>
  (await emulator.wire({ after })).filter((frame) => frame.direction === 'from_companion' && isOne(frame))

const allSettled = () => until(async () => (await emulator.pending()) === 0, { what: 'nothing is unacknowledged' })

/**
 * Nothing is committed while this happens. Once the keys are published, the session may do whatever it would do without
 * the gate, and no such frame leaves; it leaves when they are committed.
 */
async function leavesBehind(
  happening: () => Promise<unknown>,
  keys: readonly string[],
  isFrame: (frame: WireEntry) => boolean,
): Promise<void> {
  // What is on its way still is no answer to this.
  await allSettled()
  const after = await lastFrame()
  const before = store.changes.length
  store.isHeld = true
  const happened = happening()
  const written = () => new Set(store.changes.slice(before).flatMap(kindsOf))
  await until(() => keys.every((kind) => written().has(kind)), { what: `${keys.join()} are published` })
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(await framesSince(after, isFrame)).toEqual([])
  store.isHeld = false
  store.commit()
  await until(async () => (await framesSince(after, isFrame)).length > 0, { what: 'the frame leaves' })
  await happened
  await allSettled()
}

const isReceipt = ({ tag, attrs }: WireEntry) => tag === 'receipt' && attrs['type'] !== 'retry'
const isRetryReceipt = ({ tag, attrs }: WireEntry) => tag === 'receipt' && attrs['type'] === 'retry'

describe('which key writers need the same transaction', () => {
  test('session, identity key, removal of the pre-key: in one change with the row', async () => {
    const { connection } = await session.link(emulator, company)
    let id = ''
    await leavesBehind(
      async () => ({ id } = await emulator.sendText({ from: customer, to: company, text: 'hello' })),
      ['session', 'identity-key', '-pre-key'],
      isReceipt,
    )
    expect(store.kindsWith(id)).toEqual(['-pre-key', 'identity-key', 'session'])
    await connection.close()
  })

  test('sender key: in one change with what was decrypted', async () => {
    const sender = senderInGroup()
    const group = '123456@g.us'
    const distribution = await sender.encryptGroupMessage({
      group,
      meId: '491719990000@s.whatsapp.net',
      data: withPadding(proto.Message.encode({ conversation: 'hello all' }).finish()),
    })
    const ratchets = new RatchetStore(store, () => undefined)
    const received = new ReceivedMessages({
      creds: { ...initAuthCreds(), me: { id: '49170:3@s.whatsapp.net' } },
      contacts: new MemoryContactBook(),
      completeAddress: async (address) => address,
      onHistory: () => undefined,
    })
    const repository = durableSignalRepository({
      ...{ store, ratchets, received },
      onStoreFailure: () => undefined,
      onUndecryptable: async () => undefined,
      onDecrypted: () => undefined,
      onHandled: () => undefined,
    })({ creds: initAuthCreds(), keys: inMemory() }, baileysLogger(undefined))
    const author = { authorJid: '491719990000@s.whatsapp.net' }
    const item = { groupId: group, axolotlSenderKeyDistributionMessage: distribution.senderKeyDistributionMessage }
    await repository.processSenderKeyDistributionMessage({ ...author, item })
    const msg = distribution.ciphertext
    received.note(groupStanza(group, msg))
    await repository.decryptGroupMessage({ ...author, group, msg })
    const [ofDistribution, ofMessage] = store.changes
    expect(kindsOf(ofDistribution ?? {})).toEqual(['sender-key'])
    expect(kindsOf(ofMessage ?? {})).toEqual(['sender-key'])
    expect(ofMessage?.journal?.map(({ ciphertextHash }) => ciphertextHash)).toEqual([hashOf(msg)])
  })

  test('LID mapping: before the session that moves to the LID with the message', async () => {
    const { connection } = await session.link(emulator, company)
    await emulator.sendText({ from: customer, to: company, text: 'by number' })
    await until(() => store.messages.length === 1)
    let id = ''
    await leavesBehind(
      async () =>
        ({ id } = await emulator.sendText({ from: customer, to: company, text: 'by LID', addressing: 'lid' })),
      ['session'],
      isReceipt,
    )
    expect(store.kindsWith(id)).toContain('session')
    const placeOf = (isOne: (change: SessionChange) => boolean) => store.changes.findIndex(isOne)
    const mapping = placeOf(({ keys = [] }) => keys.some((key) => key.kind === 'lid-mapping' && key.id === customer))
    const message = placeOf(({ messages = [] }) => messages.some(({ whatsappId }) => whatsappId === id))
    expect(mapping).toBeGreaterThanOrEqual(0)
    expect(mapping).toBeLessThanOrEqual(message)
    await connection.close()
  })

  test('deletion of a session by Baileys: behind the ratchet operation that is under way', async () => {
    const ratchets = new RatchetStore(store, () => undefined)
    const goOn = Promise.withResolvers<void>()
    const operation = ratchets.operation(async () => {
      await goOn.promise
      await ratchets.operationKeys.set({ session: { a: Buffer.from('new') } })
    })
    const deletion = ratchets.keys.set({ session: { a: null } })
    await Promise.resolve()
    expect(store.changes).toEqual([])
    goOn.resolve()
    await Promise.all([operation, deletion])
    expect(store.changes.map(kindsOf)).toEqual([['session'], ['-session']])
  })

  test('pre-keys and the count of them: before their upload leaves', async () => {
    const first = session.open()
    const { qr } = await until(() => first.events.codes[0])
    await emulator.scanQr({ phone: company, qr })
    await until(() => first.events.closings[0])
    const isUpload = ({ attrs, children }: WireEntry) => attrs['xmlns'] === 'encrypt' && children.includes('list')
    const opened: OpenSession[] = []
    await leavesBehind(
      async () => {
        const open = session.open()
        opened.push(open)
        await until(() => open.events.onlineAs[0])
      },
      ['pre-key', 'creds'],
      isUpload,
    )
    const creds = () => Buffer.from(store.keys.get('creds/main') ?? '').toString()
    const ids = [...store.keys.keys()].flatMap((key) => /^pre-key\/(\d+)$/.exec(key)?.[1] ?? []).map(Number)
    expect(JSON.parse(creds())).toMatchObject({ nextPreKeyId: Math.max(...ids) + 1 })
    await opened[0]?.connection.close()
  })

  test('the pre-key of a retry receipt, and the count: before the receipt that gives it away leaves', async () => {
    const { connection } = await session.link(emulator, company)
    const corrupt = { from: customer, to: company, text: 'garbled', isCorrupt: true }
    const { id } = await emulator.sendText(corrupt)
    await until(() => store.messages.find(({ content }) => content.kind === 'text'))
    // From the second time on it brings keys: the sender may have nothing that fits.
    await leavesBehind(() => emulator.sendText({ ...corrupt, id }), ['pre-key', 'creds'], isRetryReceipt)
    await connection.close()
  })

  test('the credentials of a new companion: before it confirms the link', async () => {
    const { events } = session.open()
    const { qr } = await until(() => events.codes[0])
    await leavesBehind(
      () => emulator.scanQr({ phone: company, qr }),
      ['creds'],
      ({ children }) => children.includes('pair-device-sign'),
    )
    expect(store.keys.has('creds/main')).toBe(true)
    await until(() => events.closings[0])
  })

  test('app-state keys and histories, which Baileys writes after the receipt: in one change with what brings them', async () => {
    await emulator.configure({ sendsHistory: true })
    const { connection } = await session.link(emulator, company)
    await allSettled()
    const withJournal = store.changes.filter(({ journal = [] }) => journal.length > 0).map(kindsOf)
    expect(withJournal).toContainEqual(expect.arrayContaining(['app-state-sync-key', 'creds', 'session']))
    expect(withJournal).toContainEqual(expect.arrayContaining(['session', 'undone-history']))
    await connection.close()
  })
})

const groupStanza = (group: string, content: Uint8Array): BinaryNode => ({
  tag: 'message',
  attrs: { id: 'G', t: '1000', from: group, participant: '491719990000@s.whatsapp.net' },
  content: [{ tag: 'enc', attrs: { type: 'skmsg' }, content }],
})

/** Somebody in a group, with Baileys' own repository. */
const senderInGroup = () =>
  DEFAULT_CONNECTION_CONFIG.makeSignalRepository({ creds: initAuthCreds(), keys: inMemory() }, baileysLogger(undefined))

const inMemory = (): SignalKeyStoreWithTransaction => ({
  ...new RatchetStore(new MemorySessionStore(), () => undefined).keys,
  transaction: (work) => work(),
  isInTransaction: () => false,
})
