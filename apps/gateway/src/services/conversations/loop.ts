import type { PastMessage } from '#src/model/turn.ts'
import { wordsOf } from '#src/services/responders/words.ts'

/** Only what happened lately makes a loop. */
const WINDOW_MS = 10 * 60_000
/** A customer may quote an answer once. */
const ECHOES = 2
/** What is shorter is said by both sides, as "ok" or "thank you" are. */
const ECHO_LENGTH = 12
/** An impatient customer repeats a question a few times. */
const SAME_REPLIES = 6
/** Nobody reads an answer and writes the next message in so short a time, ten times in a row. */
const FAST_REPLIES = 10
const FAST_MS = 5_000
/** So many messages of the past show it. */
export const LOOP_HISTORY = 60

interface Reply {
  text: string
  at: number
  /** What it replies to. */
  answer: string
  afterMs: number
}

/**
 * Whether the customer seems to be a program that answers ours: it echoes answers, says the same to each, or replies faster
 * than people do, again and again. What a person of the company wrote in between starts the count anew.
 */
export function isLoop(past: readonly PastMessage[], texts: readonly string[], at: Date): boolean {
  const replies = repliesIn([...past, ...texts.map((text) => ({ from: 'customer', text, at }) as const)]).filter(
    (reply) => at.getTime() - reply.at <= WINDOW_MS,
  )
  const same = replies.slice(-SAME_REPLIES)
  const fast = replies.slice(-FAST_REPLIES)
  return (
    replies.filter(({ text, answer }) => text.length >= ECHO_LENGTH && text === answer).length >= ECHOES ||
    (same.length === SAME_REPLIES && same.every(({ text }) => text !== '' && text === same[0]?.text)) ||
    (fast.length === FAST_REPLIES && fast.every(({ afterMs }) => afterMs <= FAST_MS))
  )
}

/** The first message of the customer after each answer of the bot. */
function repliesIn(messages: readonly PastMessage[]): Reply[] {
  let replies: Reply[] = []
  let answer: { text: string; at: number } | undefined
  for (const { from, text, at } of messages) {
    if (from === 'person') {
      replies = []
      answer = undefined
    } else if (from === 'bot') {
      answer = { text: folded(text), at: at.getTime() }
    } else if (answer !== undefined) {
      const reply = { text: folded(text), at: at.getTime(), answer: answer.text }
      replies.push({ ...reply, afterMs: reply.at - answer.at })
      answer = undefined
    }
  }
  return replies
}

const folded = (text: string): string => wordsOf(text).join(' ')
