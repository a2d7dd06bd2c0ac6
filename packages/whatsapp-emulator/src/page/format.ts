const timeFormat = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })
const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: 'short', day: 'numeric', month: 'short' })

/** Hour and minute of an ISO time, as the person's own clock shows them. */
export function formatTime(at: string): string {
  return timeFormat.format(new Date(at))
}

/** The day of an ISO time, in words where it is near. */
export function formatDay(at: string): string {
  const day = new Date(at)
  const now = new Date()
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1)
  if (day.toDateString() === now.toDateString()) return 'Today'
  if (day.toDateString() === yesterday.toDateString()) return 'Yesterday'
  return dayFormat.format(day)
}

/** When something last happened, as short as a list of chats needs it: the time today, else the day. */
export function formatMoment(at: string): string {
  return new Date(at).toDateString() === new Date().toDateString() ? formatTime(at) : formatDay(at)
}

export function plural(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`
}
