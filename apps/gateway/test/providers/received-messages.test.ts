import { type AuthenticationCreds, type BinaryNode, initAuthCreds, proto } from 'baileys'
import { beforeEach, describe, expect, test } from 'vitest'
import type { SessionChange } from '#src/model/session-store.ts'
import { hashOf, ReceivedMessages, withPadding } from '#src/providers/baileys/received-messages.ts'
import { MemoryContactBook } from './support/test-session.ts'

const CUSTOMER = '49171@s.whatsapp.net'
const PHONE = '49170@s.whatsapp.net'
let creds: AuthenticationCreds
let received: ReceivedMessages
let histories: string[]

beforeEach(() => {
  creds = { ...initAuthCreds(), me: { id: '49170:3@s.whatsapp.net', lid: '999:3@lid' } }
  histories = []
  received = new ReceivedMessages({
    creds,
    contacts: new MemoryContactBook(),
    completeAddress: async (address) => (address.phone === '49171' ? { ...address, lid: '5' } : address),
    onHistory: (id) => histories.push(id),
  })
})

const stanzaOf = (attrs: Record<string, string>, ciphertexts: readonly Uint8Array[]): BinaryNode => ({
  tag: 'message',
  attrs: { id: 'A', t: '1000', ...attrs },
  content: ciphertexts.map((content) => ({ tag: 'enc', attrs: { type: 'msg' }, content })),
})

/** What is committed for the one ciphertext of a stanza that decrypts to this message. */
async function changeFor(attrs: Record<string, string>, message: proto.IMessage | Uint8Array): Promise<SessionChange> {
  const ciphertext = Buffer.from('ciphertext')
  const raw = message instanceof Uint8Array ? message : proto.Message.encode(message).finish()
  received.note(stanzaOf(attrs, [ciphertext]))
  return await received.changeFor(await received.prepare(ciphertext), hashOf(ciphertext), withPadding(raw))
}

describe('what is committed for a decrypted message', () => {
  test('of a chat: its row, from which its redelivery can be answered', async () => {
    const { messages, journal } = await changeFor({ from: CUSTOMER }, { conversation: 'hello' })
    expect(journal).toBeUndefined()
    expect(messages).toMatchObject([
      { whatsappId: 'A', contactId: 'contact 49171', direction: 'inbound', content: { kind: 'text', text: 'hello' } },
    ])
    expect(messages?.[0]?.ciphertextHash).toEqual(hashOf(Buffer.from('ciphertext')))
    expect(proto.Message.decode(messages?.[0]?.raw ?? new Uint8Array()).conversation).toBe('hello')
  })

  test.each<[string, Record<string, string>, proto.IMessage]>([
    ['a group', { from: '123@g.us', participant: CUSTOMER }, { conversation: 'hello all' }],
    ['a status', { from: 'status@broadcast', participant: CUSTOMER }, { conversation: 'look' }],
    ['a protocol message', { from: CUSTOMER }, { protocolMessage: { type: 0 } }],
    ['a sender key', { from: CUSTOMER }, { senderKeyDistributionMessage: { groupId: '123@g.us' } }],
    ['the phone to its companion', { from: PHONE, category: 'peer' }, { conversation: 'between us' }],
  ])('of %s: a journal entry, and no message', async (_what, attrs, message) => {
    const { messages, journal } = await changeFor(attrs, message)
    expect(messages).toBeUndefined()
    expect(journal?.map(({ plaintext }) => Buffer.from(plaintext))).toEqual([
      Buffer.from(proto.Message.encode(message).finish()),
    ])
  })

  test('of something that is no message at all: a journal entry, and a pending row until a better copy comes', async () => {
    const garbage = Buffer.from([0xff, 0xff, 0xff, 0xff])
    const { messages, journal } = await changeFor({ from: CUSTOMER }, garbage)
    expect(messages).toMatchObject([
      { whatsappId: 'A', raw: null, content: { kind: 'pending', reason: 'undecrypted' } },
    ])
    expect(journal).toHaveLength(1)
  })

  test('of a chat, that brings at a repetition what no person wrote: its pending row says so', async () => {
    const ciphertext = Buffer.from('again')
    const raw = proto.Message.encode({ protocolMessage: { type: 0 } }).finish()
    const enc = { tag: 'enc', attrs: { type: 'pkmsg', count: '1' }, content: ciphertext }
    received.note({ tag: 'message', attrs: { id: 'A', t: '1000', from: CUSTOMER }, content: [enc] })
    const draft = await received.prepare(ciphertext)
    expect(await received.changeFor(draft, hashOf(ciphertext), withPadding(raw))).toMatchObject({
      messages: [{ whatsappId: 'A', content: { kind: 'unsupported', whatsappType: 'protocolMessage' } }],
    })
  })

  test('with two ciphertexts: the last one is the message', async () => {
    const [first, last] = [Buffer.from('first'), Buffer.from('last')]
    received.note(stanzaOf({ from: CUSTOMER }, [first, last]))
    const padded = withPadding(proto.Message.encode({ conversation: 'hello' }).finish())
    const changes = [first, last].map(async (ciphertext) =>
      received.changeFor(await received.prepare(ciphertext), hashOf(ciphertext), padded),
    )
    const [ofFirst, ofLast] = await Promise.all(changes)
    expect(ofFirst).toMatchObject({ journal: [{}] })
    expect(ofLast).toMatchObject({ messages: [{}] })
  })

  test('of a stanza that nobody has seen: a journal entry', async () => {
    const ciphertext = Buffer.from('unknown')
    const change = await received.changeFor(
      await received.prepare(ciphertext),
      hashOf(ciphertext),
      withPadding(ciphertext),
    )
    expect(change).toMatchObject({ journal: [{}] })
  })
})

describe('what is committed for a message that cannot be read', () => {
  const failed = async (attrs: Record<string, string>, count?: string) => {
    const content = Buffer.from('ciphertext')
    const enc = { tag: 'enc', attrs: { type: 'msg', ...(count && { count }) }, content }
    received.note({ tag: 'message', attrs: { id: 'A', t: '1000', ...attrs }, content: [enc] })
    return received.unreadable(await received.prepare(content))
  }
  const absent = (type?: string, attrs: Record<string, string> = { from: CUSTOMER }) =>
    received.absent({
      tag: 'message',
      attrs: { id: 'A', t: '1000', ...attrs },
      content: type === undefined ? [] : [{ tag: 'unavailable', attrs: { type } }],
    })

  test('of a chat: a pending row; the fifth repetition is the last that is waited for', async () => {
    const pending = {
      whatsappId: 'A',
      contactId: 'contact 49171',
      direction: 'inbound',
      raw: null,
      ciphertextHash: null,
    }
    expect(await failed({ from: CUSTOMER })).toMatchObject({
      messages: [{ ...pending, content: { kind: 'pending', reason: 'undecrypted' } }],
    })
    expect(await failed({ from: CUSTOMER }, '4')).toMatchObject({ messages: [{ content: { reason: 'undecrypted' } }] })
    expect(await failed({ from: CUSTOMER }, '5')).toMatchObject({
      messages: [{ content: { reason: 'undecryptable' } }],
    })
  })

  test('of a group, or of the phone itself: nothing', async () => {
    expect(await failed({ from: '123@g.us', participant: CUSTOMER })).toEqual({})
    expect(await failed({ from: PHONE, category: 'peer' })).toEqual({})
  })

  test.each([
    [undefined, 'unavailable'],
    ['business', 'unavailable'],
    ['view_once', 'view_once'],
    ['view_once_unavailable_fanout', 'view_once'],
    ['hosted_unavailable_fanout', 'phone_only'],
    ['bot_unavailable_fanout', 'phone_only'],
  ])('that WhatsApp keeps back as %s: a row that is pending as %s', async (type, reason) => {
    expect(await absent(type)).toMatchObject({ messages: [{ content: { kind: 'pending', reason } }] })
    expect(absent(type, { from: '123@g.us', participant: CUSTOMER })).toBeUndefined()
  })
})

describe('what the phone tells its companion', () => {
  const keyShare = (id: string): proto.IMessage => ({
    protocolMessage: {
      appStateSyncKeyShare: {
        keys: [{ keyId: { keyId: Buffer.from(id) }, keyData: { keyData: Buffer.from('secret') } }],
      },
    },
  })

  test('keys that it shares are committed with the message: it shares them once', async () => {
    const { keys, journal } = await changeFor({ from: PHONE, category: 'peer' }, keyShare('one'))
    const id = Buffer.from('one').toString('base64')
    expect(journal).toHaveLength(1)
    expect(keys?.map((key) => [key.kind, key.id])).toEqual([
      ['app-state-sync-key', id],
      ['creds', 'main'],
    ])
    expect(creds.myAppStateKeyId).toBe(id)
  })

  const migration: proto.IMessage = {
    protocolMessage: {
      lidMigrationMappingSyncMessage: {
        encodedMappingPayload: proto.LIDMigrationMappingSyncPayload.encode({
          pnToLidMappings: [{ pn: 49171, assignedLid: 5 }],
        }).finish(),
      },
    },
  }

  test('the LIDs that it tells when its account moves to them are committed with the message', async () => {
    const { keys, journal } = await changeFor({ from: PHONE, category: 'peer' }, migration)
    expect(journal).toHaveLength(1)
    expect(keys?.map((key) => [key.kind, key.id])).toEqual([
      ['lid-mapping', '49171'],
      ['lid-mapping', '5_reverse'],
    ])
    expect(Buffer.from(keys?.[0]?.encode?.() ?? '').toString()).toBe('"5"')
    expect((await changeFor({ from: CUSTOMER }, migration)).keys).toBeUndefined()
  })

  test('that a history is to be read is committed with the message that announces it', async () => {
    const history = { protocolMessage: { historySyncNotification: { directPath: '/v/t62' } } }
    const { keys, journal } = await changeFor({ from: PHONE, category: 'peer' }, history)
    expect(journal).toHaveLength(1)
    expect(keys?.map(({ kind, id }) => [kind, id])).toEqual([['undone-history', histories[0]]])
    expect(proto.Message.HistorySyncNotification.decode(keys?.[0]?.encode?.() ?? new Uint8Array()).directPath).toBe(
      '/v/t62',
    )
    expect((await changeFor({ from: CUSTOMER }, history)).keys).toBeUndefined()
    expect(histories).toHaveLength(1)
  })

  test('a stranger who says the same is not believed', async () => {
    const { keys } = await changeFor({ from: CUSTOMER }, keyShare('forged'))
    expect(keys).toBeUndefined()
    expect(creds.myAppStateKeyId).toBeUndefined()
  })

  test('a message that this device could not read, and the phone hands over, becomes a row', async () => {
    const webMessageInfoBytes = proto.WebMessageInfo.encode({
      key: { remoteJid: CUSTOMER, id: 'LOST', fromMe: false },
      message: { conversation: 'from an advertisement' },
      messageTimestamp: 1234,
      pushName: 'Ada',
    }).finish()
    const resend: proto.IMessage = {
      protocolMessage: {
        peerDataOperationRequestResponseMessage: {
          peerDataOperationResult: [{ placeholderMessageResendResponse: { webMessageInfoBytes } }],
        },
      },
    }
    const { messages, journal } = await changeFor({ from: PHONE, category: 'peer' }, resend)
    expect(journal).toHaveLength(1)
    expect(messages).toMatchObject([
      {
        whatsappId: 'LOST',
        contactId: 'contact 49171',
        direction: 'inbound',
        content: { kind: 'text', text: 'from an advertisement' },
        sentAt: new Date(1_234_000),
      },
    ])
    expect(await changeFor({ from: CUSTOMER }, resend)).not.toHaveProperty('messages')
  })
})
