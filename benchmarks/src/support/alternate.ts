import { median } from './statistics.ts'

/**
 * Like `alternate`, after a round that does not count: the code is compiled while it runs, and Frontdesk has more of it.
 * That round's number is 0.
 */
export async function alternateWarm<Side, Sample>(
  sides: { raw: Side; frontdesk: Side },
  rounds: number,
  measure: (side: Side, round: number) => Promise<Sample>,
): Promise<{ raw: Sample[]; frontdesk: Sample[] }> {
  await measure(sides.raw, 0)
  await measure(sides.frontdesk, 0)
  return alternate(sides, rounds, measure)
}

/** Takes `rounds` samples of each side in turn, so that a change of the machine's mood meets both. */
export async function alternate<Side, Sample>(
  sides: { raw: Side; frontdesk: Side },
  rounds: number,
  measure: (side: Side, round: number) => Promise<Sample>,
): Promise<{ raw: Sample[]; frontdesk: Sample[] }> {
  const samples: { raw: Sample[]; frontdesk: Sample[] } = { raw: [], frontdesk: [] }
  for (let round = 1; round <= rounds; round++) {
    samples.raw.push(await measure(sides.raw, round))
    samples.frontdesk.push(await measure(sides.frontdesk, round))
  }
  return samples
}

/** The median of each figure on its own. */
export function medians<Sample extends Record<keyof Sample, number>>(samples: readonly Sample[]): Sample {
  const [first] = samples
  if (first === undefined) throw new Error('There are no samples.')
  const names = Object.keys(first) as (keyof Sample)[]
  return Object.fromEntries(names.map((name) => [name, median(samples.map((sample) => sample[name]))])) as Sample
}
