import { element } from './dom.ts'

/** A coloured disc with the number's last digits, the colour following the number: phones become easy to tell apart. */
export function avatar(phone: string): HTMLElement {
  const node = element('span', { class: 'avatar', 'aria-hidden': 'true' }, phone.slice(-2))
  let hue = 0
  for (const digit of phone) hue = (hue * 7 + Number(digit) * 41) % 360
  node.style.setProperty('--hue', String(hue))
  return node
}
