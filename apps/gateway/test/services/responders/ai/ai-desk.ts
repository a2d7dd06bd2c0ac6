import type { AiResponderSettings } from '@frontdesk/api-contract'
import { type ModelEmulatorOptions, type Script, startModelEmulator } from 'model-emulator'
import { onTestFinished } from 'vitest'
import { createAiResponder } from '#src/services/responders/ai/ai-responder.ts'
import type { ResponderFailure } from '#src/services/responders/post-turn.ts'
import { createOutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'

export interface AiDeskOptions extends Omit<ModelEmulatorOptions, 'script'> {
  settings?: Partial<AiResponderSettings>
  allowedHosts?: string[]
  mcpServers?: string[]
}

/** An `ai` responder whose model says what the script says. */
export async function setUpAi(script: Script, options: AiDeskOptions = {}) {
  const { settings, allowedHosts = ['127.0.0.1'], mcpServers = [], ...emulator } = options
  const model = await startModelEmulator({ script, ...emulator })
  onTestFinished(() => model.close())
  const urlGuard = createOutgoingUrlGuard(allowedHosts)
  onTestFinished(() => urlGuard[Symbol.asyncDispose]())
  const failures: ResponderFailure[] = []
  const responder = createAiResponder(
    { kind: 'ai', model: 'some-model', baseUrl: model.baseUrl, ...settings },
    { urlGuard, mcpServers, firstRetryMs: 1, onFailure: (_, failure) => failures.push(failure) },
  )
  return { model, responder, failures }
}

/** A retry that is not waited for. */
export const busy = (status: number) => ({
  raw: { status, headers: { 'retry-after': '0' }, body: '{"error":{"message":"busy","type":"server_error"}}' },
})
