/** A number with what it counts, such as "1 session" or "3 sessions". */
export const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`
