/**
 * Arrays in Postgres' binary form, as parameters of a statement. The text form would double the bytes of every key and
 * message, and writing it would be most of the work of a large insert.
 */
const OID = { bytea: 17, int8: 20, int2: 21, int4: 23, text: 25, timestamptz: 1184, uuid: 2950 } as const
const HEADER_BYTES = 20
const LENGTH_BYTES = 4
const NULL_LENGTH = -1
/** Postgres counts microseconds from the start of the year 2000. */
const EPOCH_MS = Date.UTC(2000, 0, 1)

export const int2Array = (values: readonly number[]): Buffer =>
  fixedArray(OID.int2, 2, values, (buffer, value, at) => buffer.writeInt16BE(value, at))

export const int4Array = (values: readonly number[]): Buffer =>
  fixedArray(OID.int4, 4, values, (buffer, value, at) => buffer.writeInt32BE(value, at))

export const int8Array = (values: readonly number[]): Buffer =>
  fixedArray(OID.int8, 8, values, (buffer, value, at) => buffer.writeBigInt64BE(BigInt(value), at))

export const timestampArray = (values: readonly (Date | null)[]): Buffer =>
  fixedArray(OID.timestamptz, 8, values, (buffer, value, at) =>
    buffer.writeBigInt64BE(BigInt(value.getTime() - EPOCH_MS) * 1000n, at),
  )

export const uuidArray = (values: readonly string[]): Buffer =>
  fixedArray(OID.uuid, 16, values, (buffer, value, at) => {
    if (buffer.write(value.replaceAll('-', ''), at, 'hex') !== 16) throw new TypeError(`${value} is not a UUID`)
  })

export const textArray = (values: readonly string[]): Buffer =>
  variableArray(
    OID.text,
    values.map((value) => Buffer.from(value)),
  )

export const byteaArray = (values: readonly (Uint8Array | null)[]): Buffer => variableArray(OID.bytea, values)

function fixedArray<Value>(
  oid: number,
  bytes: number,
  values: readonly (Value | null)[],
  write: (buffer: Buffer, value: Value, at: number) => unknown,
): Buffer {
  const buffer = Buffer.allocUnsafe(HEADER_BYTES + values.length * (LENGTH_BYTES + bytes))
  let at = writeHeader(buffer, oid, values.length)
  for (const value of values) {
    at = buffer.writeInt32BE(value === null ? NULL_LENGTH : bytes, at)
    if (value === null) continue
    write(buffer, value, at)
    at += bytes
  }
  return buffer.subarray(0, at)
}

function variableArray(oid: number, values: readonly (Uint8Array | null)[]): Buffer {
  const size = values.reduce((sum, value) => sum + LENGTH_BYTES + (value?.byteLength ?? 0), HEADER_BYTES)
  const buffer = Buffer.allocUnsafe(size)
  let at = writeHeader(buffer, oid, values.length)
  for (const value of values) {
    at = buffer.writeInt32BE(value?.byteLength ?? NULL_LENGTH, at)
    if (value === null) continue
    buffer.set(value, at)
    at += value.byteLength
  }
  return buffer.subarray(0, at)
}

function writeHeader(buffer: Buffer, oid: number, length: number): number {
  const dimensions = length === 0 ? 0 : 1
  const mayHoldNull = 1
  let at = buffer.writeInt32BE(dimensions, 0)
  at = buffer.writeInt32BE(mayHoldNull, at)
  at = buffer.writeInt32BE(oid, at)
  if (dimensions === 0) return at
  at = buffer.writeInt32BE(length, at)
  const lowerBound = 1
  return buffer.writeInt32BE(lowerBound, at)
}
