import type { MessageContent } from '@frontdesk/api-contract'
import { newId } from '#src/model/ids.ts'
import type { Turn } from '#src/model/turn.ts'

/** A turn of these messages; a string stands for a text. */
export const turnOf = (...contents: (string | MessageContent)[]): Turn => ({
  id: newId(),
  company: { id: newId(), name: 'Salon Margot' },
  session: { id: newId(), name: 'main', phone: '4917012345678' },
  contact: { id: newId(), name: 'Ada', phone: '4917600000001', lid: '123456789012345' },
  addresses: ['4917600000001', '123456789012345'],
  isOptedOut: false,
  isFirst: false,
  conversation: { id: newId(), state: 'bot', responders: null, labels: [], turns: 0, costMicros: 0 },
  today: { turns: 0, costMicros: 0 },
  heldUntil: null,
  messages: contents.map((content) => ({
    id: newId(),
    content: typeof content === 'string' ? { kind: 'text', text: content } : content,
    sentAt: new Date('2026-11-02T09:15:04.120Z'),
  })),
  createdAt: new Date('2026-11-02T09:15:06.000Z'),
})
