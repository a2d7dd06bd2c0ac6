import type { Sealer } from '#src/model/sealing.ts'
import type { ProviderSettings } from '#src/providers/provider.ts'
import type { Database } from '#src/storage/database.ts'
import { proxyContext } from '#src/storage/sealed-columns.ts'
import { readSessionConfiguration } from '#src/storage/session-configuration.ts'
import type { LinkingWish } from './linking-plan.ts'
import { type EffectiveSessionSettings, effectiveSessionSettings } from './session-settings.ts'

/** What a connection is opened with, as it stands in the database now. */
export interface Opening {
  settings: EffectiveSessionSettings & Pick<ProviderSettings, 'proxy'>
  wish: LinkingWish
  /** Messages wait to be sent. */
  messagesWait: boolean
}

/** The stored proxy cannot be opened: nobody may connect past it. */
export class UnreadableProxyError extends Error {
  constructor() {
    super("the session's proxy cannot be opened")
    this.name = 'UnreadableProxyError'
  }
}

/**
 * Undefined for a session that is gone.
 * @throws UnreadableProxyError
 */
export async function readOpening(
  { database, settings: deployment }: { database: Database; settings: EffectiveSessionSettings },
  sealer: Sealer,
  sessionId: string,
): Promise<Opening | undefined> {
  const configuration = await readSessionConfiguration(database.worker, sessionId)
  if (configuration === undefined) return undefined
  const { proxy, linkingMethod, linkingPhone, phone, messagesWait } = configuration
  const settings = effectiveSessionSettings(deployment, ...configuration.overrides)
  return {
    settings: { ...settings, ...(proxy !== null && { proxy: await openProxy(sealer, sessionId, proxy) }) },
    wish: {
      prefersPairingCode: linkingMethod === null ? settings.usePairingCode : linkingMethod === 'pairing_code',
      phone: linkingPhone ?? phone,
    },
    messagesWait,
  }
}

/** Whether a session that is connected with the one has to connect anew for the other. */
export const takesAnotherWay = (present: Opening, next: Opening): boolean =>
  present.settings.proxy !== next.settings.proxy || present.settings.waVersion !== next.settings.waVersion

async function openProxy(sealer: Sealer, sessionId: string, sealed: Uint8Array): Promise<string> {
  try {
    return Buffer.from(await sealer.open(sealed, proxyContext(sessionId))).toString()
  } catch {
    // The error may quote a part of it.
    throw new UnreadableProxyError()
  }
}
