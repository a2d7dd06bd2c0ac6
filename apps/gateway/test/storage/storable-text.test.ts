import fc from 'fast-check'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { storableJson, storableText } from '#src/model/storable-text.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

let testDatabase: TestDatabase
beforeAll(async () => {
  testDatabase = await createTestDatabase()
})
afterAll(() => testDatabase[Symbol.asyncDispose]())

/** Any UTF-16, with what no database stores more often than chance would bring it. */
const hostileText = fc.string({
  unit: fc.oneof(
    fc.string({ unit: 'binary', maxLength: 3 }),
    fc.constantFrom('\0', '\ud800', '\udc00', '\\u0000', '\\', '😀'),
  ),
})

test('text that anybody can send is stored and comes back as it was made storable', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(hostileText, { maxLength: 20 }), async (texts) => {
      const storable = texts.map(storableText)
      const { rows } = await sql<{ text: string[] }>`select ${storable}::text[] as text`.execute(
        testDatabase.database.worker,
      )
      expect(rows[0]?.text).toEqual(storable)
    }),
    { numRuns: 50 },
  )
})

test('JSON that anybody can send is stored, names included', async () => {
  await fc.assert(
    fc.asyncProperty(fc.dictionary(hostileText, fc.oneof(hostileText, fc.array(hostileText))), async (value) => {
      const { rows } = await sql<{ value: object }>`select ${storableJson(value)}::jsonb as value`.execute(
        testDatabase.database.worker,
      )
      expect(rows[0]?.value).toEqual(JSON.parse(storableJson(value)))
    }),
    { numRuns: 50 },
  )
})

test('what is storable is left as it is', () => {
  const text = 'Grüße 😀 \\u0000 "quoted" \n'
  expect(storableText(text)).toBe(text)
  expect(JSON.parse(storableJson({ text }))).toEqual({ text })
})

test('what is not is replaced, not removed', () => {
  expect(storableText('a\0b\ud800c')).toBe('a\ufffdb\ufffdc')
  expect(storableJson({ 'a\0': ['b\0', 1, null, { c: '\udc00' }] })).toBe(
    '{"a\ufffd":["b\ufffd",1,null,{"c":"\ufffd"}]}',
  )
})
