import { createSealingKey, keyNumberOf, SEALING_KEY_BYTES, type SealingKey } from '#src/model/sealing.ts'

const NUMBER_BYTES = 2
const RECORD_BYTES = NUMBER_BYTES + SEALING_KEY_BYTES

/** One of a company's data keys, in clear. */
export interface DataKey {
  number: number
  key: Uint8Array
}

/** A company's data keys as they stand in its row. */
export interface WrappedDataKeys {
  data_key: Uint8Array
  /** Wrapped by the former master key, while that is still accepted. */
  former_data_key: Uint8Array | null
}

/** Wraps a company's data keys by the master key, the current one last. */
export function wrapDataKeys(master: SealingKey, companyId: string, keys: readonly DataKey[]): Uint8Array {
  const plaintext = Buffer.alloc(keys.length * RECORD_BYTES)
  for (const [index, { number, key }] of keys.entries()) {
    plaintext.writeUInt16BE(number, index * RECORD_BYTES)
    plaintext.set(key, index * RECORD_BYTES + NUMBER_BYTES)
  }
  return master.seal(plaintext, dataKeyContext(companyId))
}

/** A company's data keys, the current one last; undefined if this master key has not wrapped them. */
export function unwrapDataKeys(
  master: SealingKey,
  companyId: string,
  { data_key, former_data_key }: WrappedDataKeys,
): DataKey[] | undefined {
  const wrapped = [data_key, former_data_key].find((each) => each !== null && keyNumberOf(each) === master.number)
  if (!wrapped) return undefined
  const plaintext = Buffer.from(master.open(wrapped, dataKeyContext(companyId)))
  // As it was before there could be several.
  if (plaintext.byteLength === SEALING_KEY_BYTES) return [{ number: 1, key: plaintext }]
  return Array.from({ length: plaintext.byteLength / RECORD_BYTES }, (_, index) => {
    const record = plaintext.subarray(index * RECORD_BYTES, (index + 1) * RECORD_BYTES)
    return { number: record.readUInt16BE(), key: record.subarray(NUMBER_BYTES) }
  })
}

export const sealingKeyOf = ({ number, key }: DataKey): SealingKey => createSealingKey(key, number)

const dataKeyContext = (companyId: string): string => `company/${companyId}/data-key`
