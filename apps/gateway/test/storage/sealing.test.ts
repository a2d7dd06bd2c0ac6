import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createSealingKey } from '#src/model/sealing.ts'

describe('a sealed value', () => {
  const sealer = createSealingKey(randomBytes(32))

  test('opens in its context, whatever it is', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5_000 }), fc.string(), (plaintext, context) => {
        expect(Uint8Array.from(sealer.open(sealer.seal(plaintext, context), context))).toEqual(plaintext)
      }),
    )
  })

  test('does not show what it holds', () => {
    expect(Buffer.from(sealer.seal(Buffer.from('verysecret'), 'here')).includes('verysecret')).toBe(false)
  })

  test('is another one each time', () => {
    const values = Array.from({ length: 3_000 }, () =>
      Buffer.from(sealer.seal(Buffer.from('same'), 'here')).toString('hex'),
    )
    expect(new Set(values).size).toBe(values.length)
    const nonces = values.map((value) => value.slice(6, 30))
    expect(new Set(nonces).size).toBe(values.length)
  })

  test('does not open elsewhere, with another key, or changed in any byte', () => {
    const sealed = sealer.seal(Buffer.from('secret'), 'here')
    expect(() => sealer.open(sealed, 'there')).toThrow()
    expect(() => createSealingKey(randomBytes(32)).open(sealed, 'here')).toThrow()
    for (let index = 0; index < sealed.byteLength; index++) {
      const changed = Uint8Array.from(sealed)
      changed[index] = (changed[index] ?? 0) ^ 1
      expect(() => sealer.open(changed, 'here')).toThrow()
    }
    expect(() => sealer.open(sealed.subarray(0, 22), 'here')).toThrow()
  })

  test('needs a key of 32 bytes', () => expect(() => createSealingKey(randomBytes(16))).toThrow(RangeError))
})
