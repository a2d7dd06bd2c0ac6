import { proto } from 'baileys'
import type { Account } from '../accounts/account.ts'
import type { ChatLog } from '../accounts/chat-log.ts'
import type { ChatMessage } from '../control/control.ts'
import type { EmulatorState } from '../core/state.ts'

type HistoryType = 'INITIAL_BOOTSTRAP' | 'RECENT' | 'PUSH_NAME'

/** Of each chat the first part holds so many messages, the newest, and the second part so many older ones. */
const BOOTSTRAP_MESSAGES = 20
const RECENT_MESSAGES = 200

const STATUSES: Record<ChatMessage['status'], proto.WebMessageInfo.Status> = {
  pending: proto.WebMessageInfo.Status.PENDING,
  sent: proto.WebMessageInfo.Status.SERVER_ACK,
  delivered: proto.WebMessageInfo.Status.DELIVERY_ACK,
  read: proto.WebMessageInfo.Status.READ,
}

/** What a phone hands over of its chats: the newest messages first, then older ones, then its partners' names. */
export function historyOf(state: EmulatorState, phone: Account): { type: HistoryType; history: proto.IHistorySync }[] {
  const chats = phone.chats()
  const partners = chats.map(({ partner }) => state.directory.account(partner))
  const part = (from: number, to: number) => chats.map((chat) => conversation(state, chat, from, to))
  const parts: [HistoryType, proto.IHistorySync][] = [
    [
      'INITIAL_BOOTSTRAP',
      {
        syncType: proto.HistorySync.HistorySyncType.INITIAL_BOOTSTRAP,
        conversations: part(0, BOOTSTRAP_MESSAGES),
        phoneNumberToLidMappings: partners.map((partner) => ({ pnJid: partner.jid('pn'), lidJid: partner.jid('lid') })),
      },
    ],
    [
      'RECENT',
      {
        syncType: proto.HistorySync.HistorySyncType.RECENT,
        conversations: part(BOOTSTRAP_MESSAGES, BOOTSTRAP_MESSAGES + RECENT_MESSAGES).filter(hasMessages),
      },
    ],
  ]
  if (partners.length > 0)
    parts.push([
      'PUSH_NAME',
      {
        syncType: proto.HistorySync.HistorySyncType.PUSH_NAME,
        pushnames: partners.map((partner) => ({ id: partner.jid('pn'), pushname: partner.name })),
      },
    ])
  return parts.map(([type, history]) => ({ type, history }))
}

/** A chat with its messages from the `from`th newest on, newest first, as WhatsApp orders them. */
function conversation(state: EmulatorState, chat: ChatLog, from: number, to: number): proto.IConversation {
  const partner = state.directory.account(chat.partner)
  const id = partner.jid(chat.addressing)
  const { messages } = chat.toChat()
  return {
    id,
    pnJid: partner.jid('pn'),
    lidJid: partner.jid('lid'),
    name: partner.name,
    unreadCount: chat.unread,
    conversationTimestamp: secondsOf(chat.last),
    messages: messages
      .reverse()
      .slice(from, to)
      .map((message) => ({ message: messageInfo(id, message) })),
  }
}

function messageInfo(remoteJid: string, message: ChatMessage): proto.IWebMessageInfo {
  const { id, fromMe, text, status } = message
  return {
    key: { remoteJid, fromMe, id },
    message: { conversation: text },
    messageTimestamp: secondsOf(message),
    status: STATUSES[status],
  }
}

function hasMessages({ messages }: proto.IConversation): boolean {
  return messages !== null && messages !== undefined && messages.length > 0
}

function secondsOf(message: ChatMessage | undefined): number {
  return message ? Math.floor(Date.parse(message.at) / 1000) : 0
}
