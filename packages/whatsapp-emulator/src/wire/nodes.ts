import type { BinaryNode } from 'baileys'

export type { BinaryNode }

export function childrenOf(node: BinaryNode | undefined): BinaryNode[] {
  return Array.isArray(node?.content) ? node.content : []
}

export function childOf(node: BinaryNode | undefined, tag: string): BinaryNode | undefined {
  return childrenOf(node).find((child) => child.tag === tag)
}

export function childrenTagged(node: BinaryNode | undefined, tag: string): BinaryNode[] {
  return childrenOf(node).filter((child) => child.tag === tag)
}

/** The bytes that a node holds, `undefined` where it holds children or nothing. */
export function bytesOf(node: BinaryNode | undefined): Buffer | undefined {
  const content = node?.content
  if (content === undefined || Array.isArray(content)) return undefined
  return typeof content === 'string' ? Buffer.from(content) : Buffer.from(content)
}

/** The bytes of a child that must be there. */
export function bytesOfChild(node: BinaryNode | undefined, tag: string): Buffer {
  const bytes = bytesOf(childOf(node, tag))
  if (!bytes) throw new Error(`<${node?.tag ?? 'nothing'}> holds no <${tag}>`)
  return bytes
}

export function unsignedOfChild(node: BinaryNode | undefined, tag: string): number {
  return unsignedFrom(bytesOfChild(node, tag))
}

/** A big-endian unsigned integer of up to six bytes. */
export function unsignedFrom(bytes: Uint8Array): number {
  return Buffer.from(bytes).readUIntBE(0, bytes.length)
}

export function unsignedBytes(value: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  bytes.writeUIntBE(value, 0, length)
  return bytes
}
