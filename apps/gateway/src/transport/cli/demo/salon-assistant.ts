import type { CompanySettings } from '@frontdesk/api-contract'
import { startEmulatedModel } from './emulated-model.ts'
import { startSalonSystem } from './salon-system.ts'

/** A language model that somebody runs, and pays for. */
export interface RealModel {
  /** Of an endpoint that is compatible with that of OpenAI. */
  url: string
  name: string
  /** Undefined where the endpoint asks for none. */
  key: string | undefined
}

/** What answers the salon's customers in `demo --ai`. */
export interface SalonAssistant extends AsyncDisposable {
  settings: CompanySettings
  /** The value of the secret that the settings name; undefined where they name none. */
  modelKey: string | undefined
  model: { name: string; url: string; isEmulated: boolean }
  /** Hosts that the gateway must be allowed to call. */
  hosts: string[]
}

export const MODEL_SECRET = 'model-key'
/** In dollars, and about those of a small model. */
const EMULATED_PRICE = { inputPerMillion: 0.4, outputPerMillion: 1.6 }

/** Starts the salon's own system, and a model unless there is one. */
export async function startSalonAssistant(real?: RealModel): Promise<SalonAssistant> {
  await using resources = new AsyncDisposableStack()
  const system = resources.use(await startSalonSystem())
  const emulated = { name: 'emulated', key: 'key-of-the-emulated-model' }
  const { name, url, key } = real ?? {
    ...emulated,
    url: resources.use(await startEmulatedModel(emulated.key)).baseUrl,
  }
  const started = resources.move()
  return {
    settings: assistantSettings({
      baseUrl: url,
      model: name,
      hasKey: key !== undefined,
      pricesUrl: system.pricesUrl,
      isEmulated: real === undefined,
    }),
    modelKey: key,
    model: { name, url, isEmulated: real === undefined },
    hosts: ['127.0.0.1', new URL(url).hostname],
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  }
}

function assistantSettings(given: {
  baseUrl: string
  model: string
  hasKey: boolean
  pricesUrl: string
  isEmulated: boolean
}): CompanySettings {
  const { baseUrl, model, hasKey, pricesUrl, isEmulated } = given
  return {
    business: {
      about: 'A hair salon in Berlin: cuts, colours and balayage, for everybody.',
      address: 'Auroraweg 7, 10115 Berlin',
      facts: [{ topic: 'Appointments', text: 'Made by a person of the salon. Saturdays fill up first.' }],
    },
    responders: [
      {
        ...{ kind: 'ai', baseUrl, model, ...(hasKey && { apiKey: MODEL_SECRET }) },
        instructions: 'Be warm and brief. Look up prices before you name any.',
        tools: [
          {
            name: 'prices',
            description: 'What a service costs and how long it takes.',
            parameters: {
              type: 'object',
              properties: { service: { type: 'string', description: 'Such as "balayage" or "haircut".' } },
              required: ['service'],
              additionalProperties: false,
            },
            url: pricesUrl,
          },
        ],
        ...(isEmulated && { price: EMULATED_PRICE }),
      },
    ],
    fallback: 'Thank you for your message! One of us will come back to you today.',
  }
}
