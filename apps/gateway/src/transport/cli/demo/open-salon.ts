import type { Company, CompanySettings, CreatedApiKey, LinkingCode, Session } from '@frontdesk/api-contract'
import type { EmulatorControl } from 'whatsapp-emulator'
import { ApiClient } from '../api-client.ts'
import { SALON } from './salon.ts'
import type { Transcript } from './transcript.ts'
import { until } from './until.ts'

export interface Demonstration {
  gatewayUrl: string
  platformKey: string
  phones: EmulatorControl
  transcript: Transcript
  signal: AbortSignal
}

/** The salon with its session, and its key: what the newcomer needs to go on alone. */
export interface OpenedSalon {
  session: Session
  companyKey: string
}

/** The salon as a company of Frontdesk, with a session that no phone is linked to yet. */
export async function createSalon(
  { gatewayUrl, platformKey }: Demonstration,
  settings: CompanySettings,
): Promise<OpenedSalon> {
  const platform = new ApiClient(gatewayUrl, platformKey)
  const company = await platform.post<Company>('/v1/companies', { name: SALON.name, settings })
  const { key } = await platform.post<CreatedApiKey>(`/v1/companies/${company.id}/api-keys`, { name: 'demo' })
  const session = await new ApiClient(gatewayUrl, key).post<Session>('/v1/sessions', { name: 'front desk' })
  return { companyKey: key, session }
}

/** The owner's phone scans the session's QR code, which is shown to the newcomer too or not. */
export async function linkSalon(
  { gatewayUrl, phones, transcript, signal }: Demonstration,
  { session: { id }, companyKey }: OpenedSalon,
  { drawsCode }: { drawsCode: boolean },
): Promise<Session> {
  const api = new ApiClient(gatewayUrl, companyKey)
  await api.post<Session>(`/v1/sessions/${id}/link`, { method: 'qr' })
  const codePath = `/v1/sessions/${id}/code`
  const code = await until(
    'a QR code',
    async () => {
      const { state } = await api.get<Session>(`/v1/sessions/${id}`)
      const code = state === 'linking' ? await api.get<LinkingCode>(codePath) : undefined
      return code?.kind === 'qr' ? code : undefined
    },
    { signal },
  )
  if (drawsCode) {
    transcript.step('WhatsApp offers a QR code:')
    transcript.block(await api.text(`${codePath}?format=text`))
  }
  await phones.scanQr({ phone: SALON.phone, qr: code.qr })
  transcript.step(`The owner’s phone +${SALON.phone} scans ${drawsCode ? 'it' : 'a QR code'}`)
  const linked = await until(
    'the session to be online',
    async () => {
      const current = await api.get<Session>(`/v1/sessions/${id}`)
      return current.state === 'online' ? current : undefined
    },
    { signal },
  )
  await until(
    'the linked device on the owner’s phone',
    async () => {
      const phone = (await phones.phones()).find(({ phone }) => phone === SALON.phone)
      return phone?.devices.some((device) => device.isConnected) || undefined
    },
    { signal },
  )
  transcript.step(`Online as +${linked.phone}`, 'linked, encrypted, credentials sealed in Postgres')
  return linked
}
