/** Something was asked of the emulator that cannot be done. The message is a sentence for whoever asked. */
export class ControlError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'ControlError'
  }
}
