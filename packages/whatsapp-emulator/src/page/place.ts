/** What the person is looking at. It stands in the address, so that reloading and going back work. */
export type Place =
  | { screen: 'none' }
  | { screen: 'chats'; phone: string }
  | { screen: 'new_chat'; phone: string }
  | { screen: 'devices'; phone: string }
  | { screen: 'chat'; phone: string; with: string }

/** The place that an address such as `#/491711111111/chat/491700000001` names. */
export function readPlace(hash: string): Place {
  const match = /^#\/(\d+)(?:\/(new|devices)|\/chat\/(\d+))?$/.exec(hash)
  const [, phone, screen, partner] = match ?? []
  if (phone === undefined) return { screen: 'none' }
  if (partner !== undefined) return { screen: 'chat', phone, with: partner }
  if (screen === 'new') return { screen: 'new_chat', phone }
  if (screen === 'devices') return { screen: 'devices', phone }
  return { screen: 'chats', phone }
}

export function writePlace(place: Place): string {
  switch (place.screen) {
    case 'none':
      return '#/'
    case 'chats':
      return `#/${place.phone}`
    case 'new_chat':
      return `#/${place.phone}/new`
    case 'devices':
      return `#/${place.phone}/devices`
    case 'chat':
      return `#/${place.phone}/chat/${place.with}`
  }
}

/** The phone that is open, if any. */
export function phoneOf(place: Place): string | undefined {
  return place.screen === 'none' ? undefined : place.phone
}
