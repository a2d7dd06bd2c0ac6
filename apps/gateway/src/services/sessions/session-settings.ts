import type { SessionSettings } from '@frontdesk/api-contract'
import type { ProviderSettings } from '#src/providers/provider.ts'

/** What holds for one session when it connects, without its proxy, which is a secret. */
export interface EffectiveSessionSettings extends Omit<ProviderSettings, 'proxy'> {
  /** Before the first attempt to reconnect; later ones wait longer. */
  reconnectDelayMs: number
  /** Fast attempts, before a linked session goes on slowly and one that is not linked gives up. */
  maxReconnectAttempts: number
  /** Whether a pairing code is shown at once where the number is known. */
  usePairingCode: boolean
}

/**
 * What holds for one session: each setting is taken from the last of `overrides` that has it, else from the deployment.
 * In their order: what the operator has set at run time, the company, the session.
 */
export function effectiveSessionSettings(
  deployment: EffectiveSessionSettings,
  ...overrides: readonly SessionSettings[]
): EffectiveSessionSettings {
  const set: SessionSettings = Object.assign({}, ...overrides)
  const waVersion = set.waVersion ?? deployment.waVersion
  return {
    reconnectDelayMs: set.reconnectDelay ?? deployment.reconnectDelayMs,
    maxReconnectAttempts: set.maxReconnectAttempts ?? deployment.maxReconnectAttempts,
    keepAliveIntervalMs: set.keepAliveIntervalMs ?? deployment.keepAliveIntervalMs,
    qrTimeoutMs: set.qrTimeout ?? deployment.qrTimeoutMs,
    maxQrAttempts: set.maxQRAttempts ?? deployment.maxQrAttempts,
    usePairingCode: set.usePairingCode ?? deployment.usePairingCode,
    deviceName: set.deviceName ?? deployment.deviceName,
    ...(waVersion !== undefined && { waVersion }),
  }
}
