import { z } from 'zod'
import type { EmulatorControl } from './control.ts'

/** Calls one method of the control with what came as JSON. Throws `z.ZodError` when that is not what it takes. */
type Call = (control: EmulatorControl, argument: unknown) => Promise<unknown>

const phone = z.string().regex(/^[1-9]\d{6,14}$/, 'must be 7 to 15 digits, country code first')
const text = z.string().min(1).max(65_536)
const count = z.int().min(1).max(1_000_000)
const code = z.enum(['401', '403', '405', '408', '411', '428', '440', '500', '503', '515'])
const loginFailure = z.enum(['401', '402', '403', '405', '406', '411', '500', '503'])
const base64 = z.base64()
const target = { phone: phone.exactOptional() }

const versionPart = z.int().min(0)
const validityMs = z.int().min(1).max(3_600_000)

const behaviour = z.strictObject({
  receipts: z.enum(['none', 'delivered', 'read']).exactOptional(),
  readDelayMs: z.int().min(0).max(86_400_000).exactOptional(),
  sendsHistory: z.boolean().exactOptional(),
  asksRetry: z.boolean().exactOptional(),
  keepsBooks: z.boolean().exactOptional(),
  qrValidityMs: z.strictObject({ first: validityMs, later: validityMs }).exactOptional(),
  oldestVersion: z.tuple([versionPart, versionPart, versionPart]).exactOptional(),
})

const fault = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('stream_error'), code, ...target }),
  z.strictObject({ kind: z.literal('stream_end'), ...target }),
  z.strictObject({ kind: z.literal('drop'), ...target }),
  z.strictObject({ kind: z.literal('stall'), ...target }),
  z.strictObject({ kind: z.literal('corrupt_frame'), ...target }),
  z.strictObject({ kind: z.literal('delay_acks'), delayMs: z.int().min(1).max(3_600_000), count, ...target }),
  z.strictObject({ kind: z.literal('lose_acks'), count, ...target }),
  z.strictObject({ kind: z.literal('duplicate'), count, ...target }),
  z.strictObject({ kind: z.literal('reorder'), count, ...target }),
  z.strictObject({ kind: z.literal('refuse_messages'), error: z.enum(['429', '463']), count, ...target }),
  z.strictObject({ kind: z.literal('unavailable_messages'), count, ...target }),
  z.strictObject({ kind: z.literal('no_devices'), phone, isOn: z.boolean().exactOptional() }),
  z.strictObject({
    kind: z.literal('refuse_linking'),
    phone,
    isOn: z.boolean(),
    how: z.enum(['throttled', 'blocked']).exactOptional(),
  }),
  z.strictObject({ kind: z.literal('lose_sessions'), phone }),
  z.strictObject({
    kind: z.literal('refuse_connections'),
    isOn: z.boolean(),
    how: z.enum(['reset', 'http_503']).exactOptional(),
  }),
  z.discriminatedUnion('isOn', [
    z.strictObject({
      kind: z.literal('refuse_logins'),
      isOn: z.literal(true),
      reason: loginFailure,
      count: count.exactOptional(),
      banSeconds: z.int().min(1).max(86_400).exactOptional(),
      ...target,
    }),
    z.strictObject({ kind: z.literal('refuse_logins'), isOn: z.literal(false), ...target }),
  ]),
])

const sendText = z.strictObject({
  from: phone,
  to: phone,
  text,
  addressing: z.enum(['pn', 'lid']).exactOptional(),
  id: z.string().min(1).max(128).exactOptional(),
  isCorrupt: z.boolean().exactOptional(),
})

const companionKeys = z.strictObject({
  phone,
  noiseKey: base64,
  identityKey: base64,
  registrationId: z.int().min(0),
  signedPreKey: z.strictObject({ id: z.int().min(0), key: base64, signature: base64 }),
  claimedPreKeys: z.int().min(0).exactOptional(),
})

const burst = z.strictObject({
  to: z.array(phone).min(1),
  customers: count,
  each: count,
  text: text.exactOptional(),
})

const wireQuery = z.strictObject({
  after: z.int().min(0).exactOptional(),
  limit: z.int().min(1).max(20_000).exactOptional(),
})

const nothing = z.strictObject({}).optional()

/** Every method that can be called over HTTP, and what it takes. */
export const CONTROL_CALLS: Record<keyof EmulatorControl, Call> = {
  info: call(nothing, (control) => control.info()),
  phones: call(nothing, (control) => control.phones()),
  pendingLinks: call(nothing, (control) => control.pendingLinks()),
  announceQr: call(z.strictObject({ qr: z.string() }), (control, argument) => control.announceQr(argument)),
  scanQr: call(z.strictObject({ phone, qr: z.string() }), (control, argument) => control.scanQr(argument)),
  enterPairingCode: call(z.strictObject({ phone, code: z.string() }), (control, argument) =>
    control.enterPairingCode(argument),
  ),
  sendText: call(sendText, (control, argument) => control.sendText(argument)),
  setTyping: call(z.strictObject({ from: phone, to: phone, isTyping: z.boolean() }), (control, argument) =>
    control.setTyping(argument),
  ),
  markRead: call(z.strictObject({ phone, from: phone }), (control, argument) => control.markRead(argument)),
  unlink: call(z.strictObject({ phone, deviceId: z.int().min(1).exactOptional() }), (control, argument) =>
    control.unlink(argument),
  ),
  provision: call(z.array(companionKeys), (control, argument) => control.provision(argument)),
  fault: call(fault, (control, argument) => control.fault(argument)),
  configure: call(behaviour, (control, argument) => control.configure(argument)),
  setName: call(z.strictObject({ phone, name: z.string().min(1).max(25) }), (control, argument) =>
    control.setName(argument),
  ),
  wire: call(wireQuery.optional(), (control, argument) => control.wire(argument)),
  chats: call(phone, (control, argument) => control.chats(argument)),
  counters: call(nothing, (control) => control.counters()),
  companionStats: call(z.strictObject({ phone: phone.exactOptional() }).optional(), (control, argument) =>
    control.companionStats(argument),
  ),
  resetStats: call(nothing, (control) => control.resetStats()),
  prepareBurst: call(burst, (control, argument) => control.prepareBurst(argument)),
  fireBurst: call(
    z.strictObject({ perSecond: z.number().positive().max(1_000_000).exactOptional() }).optional(),
    (control, argument) => control.fireBurst(argument),
  ),
  pending: call(nothing, (control) => control.pending()),
}

function call<T>(schema: z.ZodType<T>, run: (control: EmulatorControl, argument: T) => Promise<unknown>): Call {
  return async (control, argument) => run(control, schema.parse(argument))
}
