import QRCode from 'qrcode'

const BLACK_ON_WHITE = '\u001b[38;5;16;48;5;231m'
const RESET = '\u001b[0m'

/** A PNG that a phone reads well from a screen. */
export const qrAsPng = (qr: string): Promise<Buffer> => QRCode.toBuffer(qr, { type: 'png', margin: 4, scale: 8 })

/** For a terminal, in half blocks and with its own colours: dark on light, with the margin that readers need, on every background. */
export async function qrAsText(qr: string): Promise<string> {
  const lines = (await QRCode.toString(qr, { type: 'utf8', margin: 2 })).split('\n')
  return `${lines.map((line) => `${BLACK_ON_WHITE}${line}${RESET}`).join('\n')}\n`
}
