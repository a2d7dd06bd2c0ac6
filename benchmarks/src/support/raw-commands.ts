import type { Companion } from './companions.ts'

export interface TextToSend {
  /** The linked number that sends. */
  from: string
  to: string
  text: string
}

/** What the process of raw Baileys does when it is told to. */
export interface RawCommands {
  /** Connects all, `concurrency` at a time. Resolves with the time that each took, milliseconds. */
  connect(options: { url: string; rootKey: string; companions: Companion[]; concurrency: number }): Promise<number[]>
  /** Sends in the given order, `concurrency` at a time. */
  send(options: { messages: TextToSend[]; concurrency: number }): Promise<void>
}
