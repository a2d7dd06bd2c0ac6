const SVG = 'http://www.w3.org/2000/svg'

const PATHS = {
  back: ['M15 5l-7 7 7 7'],
  send: ['M4 12h14', 'M12 5l7 7-7 7'],
  plus: ['M12 5v14', 'M5 12h14'],
  chats: [
    'M4 6.5A2.5 2.5 0 0 1 6.5 4h11A2.5 2.5 0 0 1 20 6.5v7a2.5 2.5 0 0 1-2.5 2.5H10l-4.5 4v-4A2.5 2.5 0 0 1 4 13.5z',
  ],
  devices: ['M4 6.5A1.5 1.5 0 0 1 5.5 5h13A1.5 1.5 0 0 1 20 6.5V15H4z', 'M2 19h20'],
  clock: ['M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z', 'M12 7v5l3 2'],
  tick: ['M5 13l4.5 4.5L19 7'],
  ticks: ['M1.5 13l4.5 4.5L15.5 7', 'M10.2 14.7l2.8 2.8L22.5 7'],
  warning: ['M12 4L2.5 20h19z', 'M12 10v4', 'M12 17v.5'],
} as const

export type IconName = keyof typeof PATHS

/** A line drawing in the colour of the text around it, hidden from screen readers: the text beside it says the same. */
export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg')
  svg.setAttribute('viewBox', '0 0 24 24')
  svg.setAttribute('class', 'icon')
  svg.setAttribute('aria-hidden', 'true')
  for (const line of PATHS[name]) {
    const path = document.createElementNS(SVG, 'path')
    path.setAttribute('d', line)
    svg.append(path)
  }
  return svg
}
