import gateway from '../package.json' with { type: 'json' }

/** The gateway's version. */
export const VERSION = gateway.version
