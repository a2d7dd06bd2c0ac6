import { describe, expect, it } from 'vitest'
import { effectiveSessionSettings } from '#src/services/sessions/session-settings.ts'

const DEPLOYMENT = {
  reconnectDelayMs: 5000,
  maxReconnectAttempts: 10,
  keepAliveIntervalMs: 30_000,
  qrTimeoutMs: 60_000,
  maxQrAttempts: 3,
  usePairingCode: false,
  deviceName: 'Frontdesk',
}

describe('the settings of a session', () => {
  it("are the deployment's where nobody has set any", () => {
    expect(effectiveSessionSettings(DEPLOYMENT, {}, {}, {})).toEqual(DEPLOYMENT)
  })

  it('are taken one by one: the session goes before the company, and both before the platform', () => {
    const platform = { waVersion: '2.3000.1' }
    const company = { waVersion: '2.3000.2', reconnectDelay: 100, maxQRAttempts: 5, usePairingCode: true }
    const session = { waVersion: '2.3000.3', reconnectDelay: 0, usePairingCode: false, qrTimeout: 1000 }
    expect(effectiveSessionSettings(DEPLOYMENT, platform, company, session)).toEqual({
      ...DEPLOYMENT,
      reconnectDelayMs: 0,
      maxQrAttempts: 5,
      qrTimeoutMs: 1000,
      waVersion: '2.3000.3',
    })
    expect(effectiveSessionSettings(DEPLOYMENT, platform, company, {})).toMatchObject({ waVersion: '2.3000.2' })
    expect(effectiveSessionSettings(DEPLOYMENT, platform, {}, {})).toMatchObject({ waVersion: '2.3000.1' })
  })

  it('can be set under each name that operators know', () => {
    const session = {
      ...{ maxReconnectAttempts: 1, reconnectDelay: 2, keepAliveIntervalMs: 1003, qrTimeout: 1004, maxQRAttempts: 5 },
      ...{ usePairingCode: true, waVersion: '2.3000.6', deviceName: 'Salon' },
    }
    expect(effectiveSessionSettings({ ...DEPLOYMENT, waVersion: '2.3000.0' }, session)).toEqual({
      ...{
        maxReconnectAttempts: 1,
        reconnectDelayMs: 2,
        keepAliveIntervalMs: 1003,
        qrTimeoutMs: 1004,
        maxQrAttempts: 5,
      },
      ...{ usePairingCode: true, waVersion: '2.3000.6', deviceName: 'Salon' },
    })
  })
})
