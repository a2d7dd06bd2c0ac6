import type { WABrowserDescription } from 'baileys'

/**
 * How the companion presents itself: the phone shows it as `Google Chrome (<name>)` under Linked devices. The type is
 * one that WhatsApp knows; for others Baileys says Chrome as well. The version is shown nowhere.
 */
export const companionName = (deviceName: string): WABrowserDescription => [deviceName, 'Chrome', '1.0']

/**
 * With a pairing code the name is sent a second time, and there WhatsApp takes none but browsers on systems that it
 * knows: it answers `Chrome (Acme)` with 400 (WhiskeySockets/Baileys#2769). The phone shows what came first.
 */
export function useCommonName(name: WABrowserDescription): void {
  name[0] = 'Windows'
}
