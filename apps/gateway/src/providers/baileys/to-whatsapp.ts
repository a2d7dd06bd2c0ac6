import type { OutgoingContent } from '@frontdesk/api-contract'
import type { proto } from 'baileys'

/** The message as WhatsApp carries it. The same content gives the same message: a retry resends what was sent. */
export function toWhatsApp(content: OutgoingContent): proto.IMessage {
  switch (content.kind) {
    case 'text':
      return { conversation: content.text }
  }
}
