/** A span of time, milliseconds of the epoch. */
export interface Span {
  fromMs: number
  toMs: number
}

/**
 * How long a session was down, milliseconds of a real week: real work (handshakes, commits, starting a process) counts as
 * it was measured, waiting on a timer counts as long as it would have been had time not been compressed, and nothing
 * counts while WhatsApp would not have let anyone in.
 *
 * @param down when the session could not be reached
 * @param waits when it did nothing but wait for a timer
 * @param refused when WhatsApp accepted no logins
 * @param factor how much shorter timers were than they are
 */
export function downtimeMs(
  down: readonly Span[],
  waits: readonly Span[],
  refused: readonly Span[],
  factor: number,
): number {
  const accepted = without(down, refused)
  const waited = overlap(accepted, waits)
  return total(accepted) - waited + waited * factor
}

const total = (spans: readonly Span[]): number => spans.reduce((sum, { fromMs, toMs }) => sum + (toMs - fromMs), 0)

/** What is left of the spans outside of all the others. */
function without(spans: readonly Span[], others: readonly Span[]): Span[] {
  let left = [...spans]
  for (const { fromMs, toMs } of others) {
    left = left
      .flatMap((span) => [
        { fromMs: span.fromMs, toMs: Math.min(span.toMs, fromMs) },
        { fromMs: Math.max(span.fromMs, toMs), toMs: span.toMs },
      ])
      .filter((span) => span.toMs > span.fromMs)
  }
  return left
}

/** How much of the spans lies inside of any of the others. */
const overlap = (spans: readonly Span[], others: readonly Span[]): number =>
  total(spans) - total(without(spans, others))
