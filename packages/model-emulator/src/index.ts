export { type ChatMessage, type ChatRequest, textOf } from './chat-request.ts'
export { hostileReplies } from './hostile-replies.ts'
export { type ModelEmulator, type ModelEmulatorOptions, startModelEmulator } from './model-emulator.ts'
export type { ModelReply, Script } from './model-reply.ts'
