import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import { signDelivery } from '#src/services/webhooks/sign-delivery.ts'
import { newSecret, validSecrets, withNewSecret } from '#src/services/webhooks/webhook-secrets.ts'

test('the official library takes each signature, for whatever body, and none that was changed', () => {
  fc.assert(
    fc.property(fc.json(), fc.integer({ min: 1, max: 5 }), (body, count) => {
      const secrets = Array.from({ length: count }, newSecret)
      const headers = signDelivery('7318-42', body, { secrets, at: new Date() })
      for (const secret of secrets) {
        expect(new Webhook(secret).verify(body, headers)).toEqual(JSON.parse(body))
        expect(() => new Webhook(secret).verify(`${body} `, headers)).toThrow()
        expect(() => new Webhook(secret).verify(body, { ...headers, 'webhook-id': '7318-43' })).toThrow()
      }
      expect(() => new Webhook(newSecret()).verify(body, headers)).toThrow()
    }),
    { numRuns: 30 },
  )
})

test('rotated again and again, five secrets sign at most, and a former one never for longer than it was to', () => {
  let now = new Date(0)
  let signing = withNewSecret([], newSecret(), { now, formerValidMs: 0 })
  const first = signing[0]?.value
  signing = withNewSecret(signing, newSecret(), { now, formerValidMs: 1_000 })
  for (let n = 0; n < 8; n++) signing = withNewSecret(signing, newSecret(), { now, formerValidMs: 60_000 })
  expect(signing).toHaveLength(5)
  expect(signing[0]?.expiresAt).toBeNull()
  now = new Date(60_000)
  expect(validSecrets(signing, now)).toEqual([signing[0]])
  expect(signing.map(({ value }) => value)).not.toContain(first)
})
