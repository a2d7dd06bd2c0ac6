import type { Fault, LoginFailure, StreamErrorCode } from '../control/control.ts'

/** A fault as the page offers it. */
export interface FaultOffer {
  label: string
  /** One line: what will happen. */
  explanation: string
  build(target: { phone: string; count: number }): Fault
}

export interface FaultGroup {
  title: string
  /** What a phone needs for these faults to mean anything. */
  needs: 'linked_device' | 'phone' | 'nothing'
  /** Whether the number of messages matters. */
  isCounted: boolean
  /** Unfolded from the start. */
  isOpen: boolean
  offers: FaultOffer[]
}

const DELAY_MS = 5_000

export const FAULT_CATALOGUE: readonly FaultGroup[] = [
  {
    title: 'Break the connection',
    needs: 'linked_device',
    isCounted: false,
    isOpen: true,
    offers: [
      {
        label: 'Drop',
        explanation: 'The connection breaks without a word, as when a network cable is pulled.',
        build: ({ phone }) => ({ kind: 'drop', phone }),
      },
      {
        label: 'Stall',
        explanation: 'The connection looks open, and nothing goes through any more.',
        build: ({ phone }) => ({ kind: 'stall', phone }),
      },
      {
        label: 'Stream end',
        explanation: 'The server says goodbye and closes, as during its maintenance.',
        build: ({ phone }) => ({ kind: 'stream_end', phone }),
      },
      {
        label: 'Corrupt frame',
        explanation: 'The next frame arrives damaged and cannot be decrypted.',
        build: ({ phone }) => ({ kind: 'corrupt_frame', phone }),
      },
    ],
  },
  {
    title: 'End the stream with an error',
    needs: 'linked_device',
    isCounted: false,
    isOpen: false,
    offers: [
      streamError('428', 'Connection closed: the companion should simply come back.'),
      streamError('503', 'Service unavailable: the companion should wait, then come back.'),
      streamError('515', 'Restart required: the companion should come back at once.'),
      streamError('440', 'Replaced: another connection has taken over this device.'),
      streamError('401', 'Logged out: the device is unlinked and must be scanned again.'),
      streamError('403', 'Banned or locked: the companion should stop and say so.'),
      streamError('405', 'Outdated: the companion needs a newer version.'),
      streamError('408', 'Timed out: the companion should simply come back.'),
      streamError('411', 'No multi-device: the companion must be linked anew.'),
      streamError('500', 'Bad session: the server did not like what it was sent.'),
    ],
  },
  {
    title: 'Refuse logins',
    needs: 'linked_device',
    isCounted: false,
    isOpen: false,
    offers: [
      refusedLogins('401', 'Logged out'),
      refusedLogins('402', 'Banned for an hour'),
      refusedLogins('403', 'Banned or locked'),
      refusedLogins('405', 'Outdated'),
      refusedLogins('503', 'Unavailable'),
      {
        label: 'Accept logins',
        explanation: 'Logins of this number’s companions work again.',
        build: ({ phone }) => ({ kind: 'refuse_logins', phone, isOn: false }),
      },
    ],
  },
  {
    title: 'Disturb the next messages',
    needs: 'linked_device',
    isCounted: true,
    isOpen: false,
    offers: [
      {
        label: 'Lose acks',
        explanation: 'The server takes the companion’s messages and never confirms them.',
        build: ({ phone, count }) => ({ kind: 'lose_acks', phone, count }),
      },
      {
        label: 'Delay acks',
        explanation: `The server confirms the companion’s messages ${DELAY_MS / 1000} seconds late.`,
        build: ({ phone, count }) => ({ kind: 'delay_acks', phone, count, delayMs: DELAY_MS }),
      },
      {
        label: 'Refuse as too many',
        explanation: 'The server does not take the companion’s messages: it sends too many (429).',
        build: ({ phone, count }) => ({ kind: 'refuse_messages', phone, count, error: '429' }),
      },
      {
        label: 'Refuse as restricted',
        explanation: 'The server does not take the companion’s messages: the account is restricted (463).',
        build: ({ phone, count }) => ({ kind: 'refuse_messages', phone, count, error: '463' }),
      },
      {
        label: 'Keep content back',
        explanation: 'Messages reach the companion without their content; it has to ask its phone for it.',
        build: ({ phone, count }) => ({ kind: 'unavailable_messages', phone, count }),
      },
      {
        label: 'Duplicate',
        explanation: 'What is sent to the companion arrives twice.',
        build: ({ phone, count }) => ({ kind: 'duplicate', phone, count }),
      },
      {
        label: 'Reorder',
        explanation: 'What is sent to the companion arrives swapped in pairs.',
        build: ({ phone, count }) => ({ kind: 'reorder', phone, count }),
      },
    ],
  },
  {
    title: 'Disturb this phone',
    needs: 'phone',
    isCounted: false,
    isOpen: true,
    offers: [
      {
        label: 'Lose sessions',
        explanation: 'As after a new installation: it cannot decrypt the next message and asks for it again.',
        build: ({ phone }) => ({ kind: 'lose_sessions', phone }),
      },
      {
        label: 'No devices',
        explanation: 'Whoever asks for this number is told that it has no devices, so nothing can be sent to it.',
        build: ({ phone }) => ({ kind: 'no_devices', phone }),
      },
      {
        label: 'Devices back',
        explanation: 'This number has its devices again.',
        build: ({ phone }) => ({ kind: 'no_devices', phone, isOn: false }),
      },
      {
        label: 'Throttle linking',
        explanation: 'Too many attempts: this number can link no device for now.',
        build: ({ phone }) => ({ kind: 'refuse_linking', phone, isOn: true }),
      },
      {
        label: 'Block linking',
        explanation: 'WhatsApp has restricted this account: it can link no device.',
        build: ({ phone }) => ({ kind: 'refuse_linking', phone, isOn: true, how: 'blocked' }),
      },
      {
        label: 'Allow linking',
        explanation: 'This number can link devices again.',
        build: ({ phone }) => ({ kind: 'refuse_linking', phone, isOn: false }),
      },
    ],
  },
  {
    title: 'Close the server',
    needs: 'nothing',
    isCounted: false,
    isOpen: false,
    offers: [
      {
        label: 'Refuse connections',
        explanation: 'No companion can connect any more; those that are connected stay.',
        build: () => ({ kind: 'refuse_connections', isOn: true }),
      },
      {
        label: 'Accept again',
        explanation: 'Companions can connect again.',
        build: () => ({ kind: 'refuse_connections', isOn: false }),
      },
    ],
  },
]

function refusedLogins(reason: LoginFailure, explanation: string): FaultOffer {
  return {
    label: `Login ${reason}`,
    explanation: `${explanation}: every login fails with ${reason} from now on.`,
    build: ({ phone }) => ({ kind: 'refuse_logins', phone, isOn: true, reason }),
  }
}

function streamError(code: StreamErrorCode, explanation: string): FaultOffer {
  return { label: code, explanation, build: ({ phone }) => ({ kind: 'stream_error', phone, code }) }
}
