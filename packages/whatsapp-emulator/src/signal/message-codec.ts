import { randomInt } from 'node:crypto'
import { proto } from 'baileys'

export type MessageBody = proto.IMessage

const MAX_PADDING_BYTES = 16
/** Fields of a message that accompany its content and are none themselves. */
const ACCOMPANYING_FIELDS = new Set(['messageContextInfo', 'senderKeyDistributionMessage'])

/** The plaintext of a Signal message: the protobuf, padded with 1 to 16 bytes that each hold the padding's length. */
export function encodeMessage(body: MessageBody): Buffer {
  const padding = randomInt(1, MAX_PADDING_BYTES + 1)
  const bytes = proto.Message.encode(proto.Message.fromObject(body)).finish()
  return Buffer.concat([bytes, Buffer.alloc(padding, padding)])
}

/** Throws when the padding or the protobuf is not valid. */
export function decodeMessage(plaintext: Buffer): proto.Message {
  const padding = plaintext.at(-1) ?? 0
  if (padding < 1 || padding > MAX_PADDING_BYTES || padding > plaintext.length)
    throw new Error('The decrypted message is not padded as a WhatsApp message is')
  return proto.Message.decode(plaintext.subarray(0, -padding))
}

/** What a phone would show of a message: the text or the caption, and the field that holds the content. */
export function contentOf(body: MessageBody): { text: string; type: string } {
  const fields = Object.entries(body).filter(([name, value]) => value != null && !ACCOMPANYING_FIELDS.has(name))
  const [type, value] = fields[0] ?? ['', undefined]
  if (typeof value === 'string') return { text: value, type }
  const text = value && typeof value === 'object' ? (textField(value, 'text') ?? textField(value, 'caption')) : ''
  return { text: text ?? '', type }
}

function textField(value: object, name: string): string | undefined {
  const field: unknown = Reflect.get(value, name)
  return typeof field === 'string' ? field : undefined
}
