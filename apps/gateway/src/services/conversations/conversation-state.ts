import type { ConversationReason, ConversationState } from '@frontdesk/api-contract'

/** Who answers in a conversation, and why. */
export interface Answering {
  state: ConversationState
  reason: ConversationReason
  /** What a responder has said about its reason to hand over. */
  detail: string | null
  /** When it goes back to the bot by itself; null where it does not. */
  returnsAt: Date | null
  assignee: string | null
}

/** What can change who answers. `at` is the moment that counts as now. */
export type Happening =
  | { kind: 'customer_wrote'; at: Date }
  | { kind: 'time_passed'; at: Date }
  /** A guardrail or a responder wants a person, who is waited for until then. */
  | { kind: 'handed_over'; reason: ConversationReason; detail: string | null; returnsAt: Date }
  /** A person wrote, from the phone or as an agent of the API, and is thought to be there until then. */
  | { kind: 'person_wrote'; at: Date; until: Date; agent: string | null }
  | { kind: 'set_by_api'; state: ConversationState; returnsAt: Date | null; assignee: string | null }

type Transition<Kind extends Happening['kind']> = (
  before: Answering,
  happening: Happening & { kind: Kind },
) => Answering
type Row = { [Kind in Happening['kind']]: Transition<Kind> }

const stays = (before: Answering): Answering => before
const goesBack: Transition<'customer_wrote' | 'time_passed'> = (before, { at }) =>
  isDue(before, at) ? { state: 'bot', reason: 'timed_out', detail: null, returnsAt: null, assignee: null } : before
const isSet: Transition<'set_by_api'> = (_, { state, returnsAt, assignee }) => ({
  ...{ state, reason: 'set_by_api', detail: null, assignee },
  returnsAt: state === 'waiting' || state === 'human' ? returnsAt : null,
})
const isTakenOver: Transition<'person_wrote'> = (before, { at, until, agent }) => ({
  ...{ state: 'human', reason: agent === null ? 'written_on_phone' : 'written_by_agent', detail: null },
  ...{ returnsAt: until, assignee: agent ?? (isDue(before, at) ? null : before.assignee) },
})
/** Nobody's pause is cut short, least of all one without an end. */
const goesOn: Transition<'person_wrote'> = (before, { at, until, agent }) => ({
  ...before,
  returnsAt: before.returnsAt && new Date(Math.max(before.returnsAt.getTime(), until.getTime())),
  assignee: agent ?? (isDue(before, at) ? null : before.assignee),
})

/** The whole of it. `storage/turns.ts` and the triggers of `0013-answers.sql` do the same where it must be one commit. */
const TRANSITIONS: Readonly<Record<ConversationState, Row>> = {
  bot: {
    customer_wrote: stays,
    time_passed: stays,
    handed_over: (_, { reason, detail, returnsAt }) => ({
      ...{ state: 'waiting', reason, detail, returnsAt, assignee: null },
    }),
    person_wrote: isTakenOver,
    set_by_api: isSet,
  },
  waiting: {
    customer_wrote: goesBack,
    time_passed: goesBack,
    handed_over: stays,
    person_wrote: isTakenOver,
    set_by_api: isSet,
  },
  human: {
    customer_wrote: goesBack,
    time_passed: goesBack,
    handed_over: stays,
    person_wrote: goesOn,
    set_by_api: isSet,
  },
  closed: {
    customer_wrote: () => ({ state: 'bot', reason: 'customer_wrote', detail: null, returnsAt: null, assignee: null }),
    time_passed: stays,
    handed_over: stays,
    person_wrote: isTakenOver,
    set_by_api: isSet,
  },
}

/** Who answers after something has happened. */
export function nextAnswering<Kind extends Happening['kind']>(
  before: Answering,
  happening: Happening & { kind: Kind },
): Answering {
  const transition: Transition<Kind> = TRANSITIONS[before.state][happening.kind]
  return transition(before, happening)
}

/** It has waited for a person, or been with one, for long enough. */
const isDue = ({ returnsAt }: Answering, at: Date): boolean => returnsAt !== null && returnsAt <= at
