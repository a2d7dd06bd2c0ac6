import type { OutgoingContent } from '@frontdesk/api-contract'
import type { proto } from 'baileys'

/** The message as WhatsApp carries it. */
export function toWhatsApp(content: OutgoingContent): proto.IMessage {
  switch (content.kind) {
    case 'text':
      return { conversation: content.text }
  }
}
