import { setTimeout as sleep } from 'node:timers/promises'
import type { LinkingCode, NextAction, Session } from '@frontdesk/api-contract'
import { FrontdeskError } from '#src/model/errors.ts'
import { OPERATOR } from '#src/services/security/actor.ts'
import { qrAsText } from '../http/qr-code.ts'
import type { Output } from './output.ts'
import type { RunningGateway } from './running-gateway.ts'

const COMPANY_NAME = 'My company'
const SESSION_NAME = 'main'
const POLL_INTERVAL_MS = 500

/**
 * Links the first number of someone who tries Frontdesk alone: one company, one session, its code in the terminal. With
 * a phone number it is a pairing code, to be typed on that phone; otherwise a QR code.
 */
export async function linkFirstSession(
  gateway: RunningGateway,
  { output, signal, phone }: { output: Output; signal: AbortSignal; phone: string | undefined },
): Promise<void> {
  const { sessions } = gateway
  const companyId = await firstCompany(gateway, output)
  let session = await firstSession(gateway, companyId)
  if (session.linkedAt === null) {
    const how = phone === undefined ? ({ method: 'qr' } as const) : ({ method: 'pairing_code', phone } as const)
    session = await sessions.link(companyId, session.id, how, OPERATOR)
    output.say(`Linking "${COMPANY_NAME}": have the phone at hand. Codes that nobody uses are replaced a few times.`)
  } else if (session.state !== 'online') {
    session = await sessions.start(companyId, session.id, OPERATOR)
  }

  let shown: LinkingCode | undefined
  let trouble = session.reason
  while (!signal.aborted && session.state !== 'online') {
    const code = await currentCode(() => sessions.linkingCode(companyId, session.id))
    if (code !== undefined && contentOf(code) !== (shown && contentOf(shown))) {
      shown = code
      output.say(await drawn(code))
      output.report({ type: 'linking_code', companyId, sessionId: session.id, ...code })
    }
    if (session.state === 'connecting' && session.linkedAt === null && session.reason !== trouble) {
      trouble = session.reason
      if (trouble !== null) output.say(`Not yet: ${session.next.explanation}`)
    }
    if (NEEDS_A_PERSON.has(session.next.action)) return sayEnded(session, companyId, output)
    // An aborted wait is how the command ends; the loop's condition sees it.
    await sleep(POLL_INTERVAL_MS, undefined, { signal }).catch(() => undefined)
    session = await sessions.get(companyId, session.id)
  }
  if (session.state === 'online') {
    output.say(`Linked: ${session.phone ?? 'the phone'} is online. Send from it with "sessionId":"${session.id}".`)
    output.report({ type: 'linked', companyId, sessionId: session.id, phone: session.phone })
  }
}

const contentOf = (code: LinkingCode): string => (code.kind === 'qr' ? code.qr : code.code)

/** The code as a person needs it, and how long it is good for. */
async function drawn(code: LinkingCode): Promise<string> {
  const until = `until ${new Date(code.expiresAt).toLocaleTimeString('en-GB')}`
  return code.kind === 'qr'
    ? `\n${await qrAsText(code.qr)}\nScan it ${until}: on the phone under Settings, Linked devices, Link a device.`
    : `\n    ${code.code}\n\nType it ${until}: on the phone under Settings, Linked devices, Link a device, Link with phone number instead.`
}

/** No waiting changes what somebody has to do. A code that waits for the phone is shown instead. */
const NEEDS_A_PERSON: ReadonlySet<NextAction> = new Set(['link', 'start', 'relink', 'ask_whatsapp'])

function sayEnded({ id, state, reason, next }: Session, companyId: string, output: Output): void {
  output.say(
    `\nNot linked. ${next.explanation}\nThe gateway goes on. To try again, call POST /v1/sessions/${id}/link, or press Ctrl-C and start with --link once more.`,
  )
  output.report({ type: 'linking_ended', companyId, sessionId: id, state, reason })
}

async function currentCode(read: () => Promise<LinkingCode>): Promise<LinkingCode | undefined> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof FrontdeskError && error.code === 'session_not_linking') return undefined
    throw error
  }
}

async function firstCompany({ companies, apiKeys }: RunningGateway, output: Output): Promise<string> {
  let cursor: string | undefined
  do {
    const page = await companies.list({ limit: 200, cursor })
    const found = page.items.find(({ name }) => name === COMPANY_NAME)
    if (found !== undefined) return found.id
    cursor = page.next ?? undefined
  } while (cursor !== undefined)
  const { id } = await companies.create({ name: COMPANY_NAME }, OPERATOR)
  const { key } = await apiKeys.create(id, { name: 'first start' }, OPERATOR)
  output.say(`This is the COMPANY KEY of "${COMPANY_NAME}". It sends and reads messages; it, too, is shown only this once:

  ${key}
`)
  output.report({ type: 'company_created', companyId: id, companyKey: key })
  return id
}

async function firstSession({ sessions }: RunningGateway, companyId: string): Promise<Session> {
  const found = (await sessions.list(companyId)).find(({ name }) => name === SESSION_NAME)
  return found ?? sessions.create(companyId, { name: SESSION_NAME }, OPERATOR)
}
