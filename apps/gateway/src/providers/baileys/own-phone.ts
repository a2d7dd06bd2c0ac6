import { areJidsSameUser, type BinaryNode, jidDecode } from 'baileys'

/** Whether a stanza was sent by the account's phone itself, which is device 0, and not by another companion or the server. */
export function isFromOwnPhone({ attrs }: BinaryNode, me: { id: string; lid?: string | undefined }): boolean {
  const sender = attrs['participant'] ?? attrs['from']
  if (!areJidsSameUser(sender, me.id) && !(me.lid !== undefined && areJidsSameUser(sender, me.lid))) return false
  return (jidDecode(sender)?.device ?? 0) === 0
}
