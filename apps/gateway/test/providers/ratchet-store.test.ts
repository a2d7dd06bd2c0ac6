import { describe, expect, test } from 'vitest'
import { RatchetStore } from '#src/providers/baileys/ratchet-store.ts'
import { until } from '../support/until.ts'
import { MemorySessionStore } from './support/memory-session-store.ts'

const ignore = () => undefined
const session = (value: string) => ({ version: 'v1', _sessions: { [value]: {} } }) as unknown as Uint8Array
const setup = () => {
  const store = new MemorySessionStore()
  return { store, ratchets: new RatchetStore(store, ignore) }
}

describe('keys', () => {
  test('what is written is read at once, and is in the store after its commit', async () => {
    const { store, ratchets } = setup()
    store.isHeld = true
    await ratchets.keys.set({ 'lid-mapping': { '49170': '1234' } })
    expect(await ratchets.keys.get('lid-mapping', ['49170', '49171'])).toEqual({ '49170': '1234' })
    expect(store.keys.size).toBe(0)
    store.commit()
    expect([...store.keys.keys()]).toEqual(['lid-mapping/49170'])
  })

  test('another connection reads what was committed, of every kind, as it was', async () => {
    const { store, ratchets } = setup()
    const pair = { public: Buffer.from('public'), private: Buffer.from('private') }
    const appStateKey = { keyData: Buffer.from('key'), timestamp: 7 }
    await ratchets.keys.set({
      session: { a: session('one') },
      'pre-key': { '1': pair },
      'identity-key': { a: Buffer.from([1, 2, 3]) },
      'device-list': { '49170': ['0', '3'] },
      'sender-key-memory': { group: { '49170@s.whatsapp.net': true } },
      'app-state-sync-key': { x: appStateKey },
    })
    await store.committed(store.published)
    const { keys } = new RatchetStore(store, ignore)
    expect(await keys.get('session', ['a'])).toEqual({ a: session('one') })
    expect(await keys.get('pre-key', ['1'])).toEqual({ '1': pair })
    expect(await keys.get('identity-key', ['a'])).toEqual({ a: Buffer.from([1, 2, 3]) })
    expect(await keys.get('device-list', ['49170'])).toEqual({ '49170': ['0', '3'] })
    expect(await keys.get('sender-key-memory', ['group'])).toEqual({ group: { '49170@s.whatsapp.net': true } })
    const { x } = await keys.get('app-state-sync-key', ['x'])
    expect([x?.keyData, Number(x?.timestamp)]).toEqual([appStateKey.keyData, appStateKey.timestamp])
  })

  test('Baileys may change what it has read without changing what is stored', async () => {
    const { ratchets } = setup()
    await ratchets.keys.set({ 'device-list': { '49170': ['0'] } })
    const first = await ratchets.keys.get('device-list', ['49170'])
    first['49170']?.push('99')
    expect(await ratchets.keys.get('device-list', ['49170'])).toEqual({ '49170': ['0'] })
  })

  test('a write that overtakes a read wins', async () => {
    const { store, ratchets } = setup()
    store.keys.set('lid-mapping/49170', Buffer.from('"old"'))
    const goOn = Promise.withResolvers<void>()
    store.heldReads = { kind: 'lid-mapping', until: goOn.promise }
    const reading = ratchets.keys.get('lid-mapping', ['49170'])
    await ratchets.keys.set({ 'lid-mapping': { '49170': 'new' } })
    goOn.resolve()
    expect(await reading).toEqual({ '49170': 'new' })
  })

  test('memory is bounded, and forgets nothing that is not committed', async () => {
    const { store, ratchets } = setup()
    store.isHeld = true
    const numbers = Array.from({ length: 2000 }, (_, index) => String(index))
    for (const number of numbers) await ratchets.keys.set({ 'lid-mapping': { [number]: `lid ${number}` } })
    store.reads.length = 0
    expect(Object.keys(await ratchets.keys.get('lid-mapping', numbers))).toHaveLength(2000)
    expect(store.reads).toEqual([])

    store.isHeld = false
    store.commit()
    // Reading keeps a key in memory: each look takes the one that was not used for longest.
    let oldest = 0
    await until(async () => {
      store.reads.length = 0
      await ratchets.keys.get('lid-mapping', [String(oldest++)])
      return store.reads.length > 0
    })
    expect(Object.keys(await ratchets.keys.get('lid-mapping', numbers))).toHaveLength(2000)
  })

  test('a key that is used stays in memory while others are forgotten', async () => {
    const { store, ratchets } = setup()
    await ratchets.keys.set({ 'lid-mapping': { used: '1' } })
    for (let number = 0; number < 2000; number++) {
      await ratchets.keys.set({ 'lid-mapping': { [number]: `lid ${number}` } })
      await ratchets.keys.get('lid-mapping', ['used'])
    }
    await store.committed(store.published)
    await until(async () => {
      store.reads.length = 0
      await ratchets.keys.get('lid-mapping', ['0'])
      return store.reads.length > 0
    })
    store.reads.length = 0
    await ratchets.keys.get('lid-mapping', ['used'])
    expect(store.reads).toEqual([])
  })

  test('an idle session keeps nothing in memory', async () => {
    const { store, ratchets } = setup()
    await ratchets.keys.set({ 'lid-mapping': { '49170': '1234' } })
    await store.committed(store.published)
    ratchets.forgetUnlessUsed()
    store.reads.length = 0
    expect(await ratchets.keys.get('lid-mapping', ['49170'])).toEqual({ '49170': '1234' })
    expect(store.reads).toHaveLength(1)
  })
})

describe('operations', () => {
  test('publish all that they wrote, and the row, as one change', async () => {
    const { store, ratchets } = setup()
    const plaintext = Buffer.from('plaintext')
    const ciphertextHash = Buffer.from('hash')
    const { published } = store
    const result = await ratchets.operation(
      async () => {
        await ratchets.operationKeys.set({ session: { a: session('one') } })
        await ratchets.operationKeys.set({ 'pre-key': { '1': null } })
        expect(await ratchets.operationKeys.get('session', ['a'])).toEqual({ a: session('one') })
        return 'done'
      },
      [],
      () => ({ journal: [{ ciphertextHash, plaintext }] }),
    )
    expect(result).toBe('done')
    expect(store.published).toBe(published + 1)
    await store.committed(store.published)
    expect(store.keys.has('session/a')).toBe(true)
    expect(await store.findPlaintext(ciphertextHash)).toEqual(plaintext)
  })

  test('that fail publish nothing', async () => {
    const { store, ratchets } = setup()
    const failing = ratchets.operation(async () => {
      await ratchets.operationKeys.set({ session: { a: session('one') } })
      throw new Error('Bad MAC')
    })
    await expect(failing).rejects.toThrow('Bad MAC')
    expect(store.published).toBe(0)
    expect(await ratchets.keys.get('session', ['a'])).toEqual({})
  })

  test('run on memory: a key that is missing is fetched between two runs, and only the last run counts', async () => {
    const { store, ratchets } = setup()
    store.keys.set('session/a', Buffer.from(JSON.stringify(session('stored'))))
    store.keys.set('pre-key/1', Buffer.from('"pre-key"'))
    const runs: string[] = []
    await ratchets.operation(async () => {
      runs.push('begun')
      const reads = store.reads.length
      // libsignal takes a failing read for an absent session and goes on.
      const found = await Promise.resolve(ratchets.operationKeys.get('session', ['a'])).catch(() => ({}))
      expect(store.reads).toHaveLength(reads)
      await ratchets.operationKeys.set({ session: { a: session(Object.keys(found).length > 0 ? 'right' : 'wrong') } })
      await ratchets.operationKeys.get('pre-key', ['1'])
      runs.push('finished')
    })
    expect(runs.filter((run) => run === 'finished')).toHaveLength(1)
    expect(store.published).toBe(1)
    expect(await ratchets.keys.get('session', ['a'])).toEqual({ a: session('right') })
  })

  test('come one after the other, also with deletions of sessions from outside', async () => {
    const { ratchets } = setup()
    const goOn = Promise.withResolvers<void>()
    const order: string[] = []
    const first = ratchets.operation(async () => {
      await goOn.promise
      await ratchets.operationKeys.set({ session: { a: session('one') } })
      order.push('first')
    })
    const deletion = Promise.resolve(ratchets.keys.set({ session: { a: null } })).then(() => order.push('deletion'))
    const second = ratchets.operation(async () => {
      expect(await ratchets.operationKeys.get('session', ['a'])).toEqual({})
      order.push('second')
    })
    goOn.resolve()
    await Promise.all([first, deletion, second])
    expect(order).toEqual(['first', 'deletion', 'second'])
  })

  test('of an ended connection leave no trace', async () => {
    const { store, ratchets } = setup()
    const goOn = Promise.withResolvers<void>()
    const late = ratchets.operation(async () => {
      await ratchets.operationKeys.set({ session: { a: session('one') } })
      await goOn.promise
    })
    const waiting = ratchets.operation(async () => undefined)
    await Promise.resolve()
    ratchets.close()
    goOn.resolve()
    await expect(late).rejects.toThrow()
    await expect(waiting).rejects.toThrow()
    await expect(Promise.resolve(ratchets.keys.set({ 'lid-mapping': { a: 'b' } }))).rejects.toThrow()
    expect(store.published).toBe(0)
  })

  test('a store that cannot be read is reported', async () => {
    const failures: unknown[] = []
    const store = new MemorySessionStore()
    const ratchets = new RatchetStore(store, (error) => failures.push(error))
    store.readKeys = () => Promise.reject(new Error('the database is away'))
    const reading = ratchets.operation(async () => ratchets.operationKeys.get('session', ['a']))
    await expect(reading).rejects.toThrow('away')
    expect(failures).toHaveLength(1)
  })
})
