/** How long a system asks us to wait, by the header `Retry-After`: seconds or a date. Undefined where it does not. */
export function readRetryAfter(header: string | string[] | undefined): number | undefined {
  const [value] = [header ?? []].flat()
  if (value === undefined) return undefined
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}
