/**
 * Everything that libsignal 6 prints, by how it begins. It prints whole sessions, private keys included, at every
 * opening and closing; the rest repeats as errors what Baileys handles. A test holds the list against its source.
 */
const LIBSIGNAL_MESSAGES = [
  'V1 session storage migration error: registrationId',
  'Migrating session to:',
  'Session already closed',
  'Closing session:',
  'Session already open',
  'Opening session:',
  'Removing old closed session:',
  'Closing open session in favor of incoming prekey bundle',
  'WARNING: Expected pubkey of length 33',
  'Unhandled bucket type (for naming):',
  'Failed to decrypt message with any known session...',
  'Session error:',
  'Decrypted message with closed session.',
]

const METHODS = ['info', 'warn', 'error'] as const
type Print = (...parts: unknown[]) => void
const quiet = new WeakSet<Print>()

/** Drops what libsignal prints to the console, and nothing else. Doing it twice does nothing. */
export function silenceLibsignal(): void {
  for (const method of METHODS) {
    const print: Print = console[method]
    if (quiet.has(print)) continue
    const printOthers: Print = (...parts) => {
      if (!isOfLibsignal(parts)) print.apply(console, parts)
    }
    quiet.add(printOthers)
    console[method] = printOthers
  }
}

function isOfLibsignal(parts: readonly unknown[]): boolean {
  const [first] = parts
  if (typeof first === 'string' && LIBSIGNAL_MESSAGES.some((message) => first.startsWith(message))) return true
  return parts.some(isSessionEntry)
}

/** A session of libsignal holds private keys: under no message may it be printed. */
function isSessionEntry(value: unknown): boolean {
  return typeof value === 'object' && value !== null && '_chains' in value && 'currentRatchet' in value
}
