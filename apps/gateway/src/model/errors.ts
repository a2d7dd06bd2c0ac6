/**
 * Every error that a person or a program can meet, in one place. The code is part of the API and never changes; the
 * sentence says what to do.
 */
export const ERRORS = {
  // request
  invalid_json: { status: 400, stage: 'request', title: 'The body is not valid JSON. Send one JSON object in UTF-8.' },
  invalid_request: {
    status: 400,
    stage: 'request',
    title: 'A field of the request is not valid. See `errors` for each field and what it must be.',
  },
  invalid_phone_number: {
    status: 400,
    stage: 'request',
    title:
      'This is not a phone number. Give it in international form: digits only, country code first, such as 4917012345678.',
  },
  unsupported_media_type: {
    status: 415,
    stage: 'request',
    title: 'The body must be JSON. Set the header Content-Type: application/json.',
  },
  invalid_http: { status: 400, stage: 'request', title: 'This is not a valid HTTP request. Check its form.' },
  request_timed_out: { status: 408, stage: 'request', title: 'The request took too long to arrive. Send it again.' },
  headers_too_large: { status: 431, stage: 'request', title: 'The headers are over the limit. Send fewer.' },
  body_too_large: { status: 413, stage: 'request', title: 'The body is over the limit. Send less in one request.' },
  not_found: {
    status: 404,
    stage: 'request',
    title:
      "There is no such thing here. Check the address and the id; another company's things do not exist for this key.",
  },
  method_not_allowed: {
    status: 405,
    stage: 'request',
    title: 'This address does not take this method. See the Allow header.',
  },
  // access
  api_key_missing: {
    status: 401,
    stage: 'access',
    title: 'No API key was sent. Send the header Authorization: Bearer <key>.',
  },
  api_key_invalid: {
    status: 401,
    stage: 'access',
    title: 'This API key is not known, has expired or was revoked. Create a new one with a platform key.',
  },
  api_key_wrong_scope: {
    status: 403,
    stage: 'access',
    title:
      "This kind of API key may not do this. Companies are created with a platform key; a company's own things are reached with that company's key.",
  },
  // conflict
  idempotency_key_reused: {
    status: 409,
    stage: 'accept',
    title: 'This idempotency key was used before with another body. Use a new key for a new message.',
  },
  session_name_taken: {
    status: 409,
    stage: 'accept',
    title: 'The company already has a session of this name. Choose another name.',
  },
  session_not_linked: {
    status: 409,
    stage: 'accept',
    title: 'This session is not linked to a phone. Link it first.',
  },
  session_not_linking: {
    status: 409,
    stage: 'accept',
    title: 'This session shows no linking code now. Link it; if it is linked already it needs none.',
  },
  session_already_linked: {
    status: 409,
    stage: 'accept',
    title: 'This session is linked to a phone already. Log it out first to link it anew.',
  },
  session_logged_out: {
    status: 409,
    stage: 'accept',
    title: 'The phone has unlinked this session. Link it again.',
  },
  session_deleted: {
    status: 409,
    stage: 'accept',
    title: 'This session was deleted. Create a new one; its name is free as soon as this one is gone.',
  },
  linking_limit_reached: {
    status: 429,
    stage: 'accept',
    title:
      'The company has begun to link too often in the last hour. Try again at `retryAt`; WhatsApp blocks numbers that try too often.',
  },
  message_not_cancellable: {
    status: 409,
    stage: 'accept',
    title: 'This message is on its way or has been sent, or has failed. Only what waits to be sent can be cancelled.',
  },
  // delivery
  cancelled: {
    status: 409,
    stage: 'deliver',
    title: 'The message was cancelled before it was sent.',
  },
  expired: {
    status: 504,
    stage: 'deliver',
    title:
      'The message could not be sent before it expired. Send it again if it still makes sense, or let it live longer.',
  },
  contact_opted_out: {
    status: 403,
    stage: 'deliver',
    title:
      'This contact does not want messages. Nothing is sent until the contact, or the company for it, opts in again.',
  },
  recipient_unreachable: {
    status: 422,
    stage: 'deliver',
    title: 'WhatsApp knows no device for this number. Check the number, or ask the customer for the right one.',
  },
  rejected_by_whatsapp: {
    status: 422,
    stage: 'deliver',
    title: 'WhatsApp refused the message. See `whatsappCode` for its reason.',
  },
  gave_up: {
    status: 504,
    stage: 'deliver',
    title: 'WhatsApp did not acknowledge the message in any attempt. Send it again when the session is online.',
  },
  // webhooks
  webhook_endpoint_limit_reached: {
    status: 409,
    stage: 'accept',
    title: 'The company has as many webhook endpoints as it may have. Delete one, or change one.',
  },
  webhook_endpoint_disabled: {
    status: 409,
    stage: 'accept',
    title: 'This webhook endpoint is disabled. Enable it first.',
  },
  webhook_timed_out: {
    status: 504,
    stage: 'deliver',
    title: 'The webhook endpoint did not answer in time. Answer at once, and work afterwards.',
  },
  webhook_failed: {
    status: 502,
    stage: 'deliver',
    title: 'The webhook endpoint answered with a status that is not 2xx. Look into its own log.',
  },
  webhook_unreachable: {
    status: 502,
    stage: 'deliver',
    title: 'The webhook endpoint could not be reached. Check its URL and that it is up.',
  },
  // answer
  secret_limit_reached: {
    status: 409,
    stage: 'accept',
    title: 'The company has as many secrets as it may have. Delete one that nothing needs, or replace one.',
  },
  playground_busy: {
    status: 429,
    stage: 'accept',
    title: 'The company is trying as many conversations at once as it may. Wait for one of them to be answered.',
  },
  playground_timed_out: {
    status: 504,
    stage: 'answer',
    title: 'The draft had no answer within 60 seconds. Look at what its responders wait for.',
  },
  secret_missing: {
    status: 409,
    stage: 'answer',
    title: 'A secret that the responder needs is not there, or has not the form that it must have. Store it anew.',
  },
  responder_paused: {
    status: 503,
    stage: 'answer',
    title: "The company's responder has failed again and again. It is asked again after half a minute.",
  },
  responder_timed_out: {
    status: 504,
    stage: 'answer',
    title: "The company's responder did not answer in time. Make it faster, or raise its time-out.",
  },
  responder_failed: {
    status: 502,
    stage: 'answer',
    title: "The company's responder answered with an error. Look into its own log.",
  },
  responder_answer_invalid: {
    status: 502,
    stage: 'answer',
    title:
      "The company's responder answered something that is not the documented JSON. See docs/how-to/answer-from-your-own-system.md.",
  },
  responder_unreachable: {
    status: 502,
    stage: 'answer',
    title: "The company's responder could not be reached. Check its URL and that it is up.",
  },
  model_unreachable: {
    status: 502,
    stage: 'answer',
    title: 'The endpoint of the language model could not be reached. Check `baseUrl` and that it is up.',
  },
  model_failed: {
    status: 502,
    stage: 'answer',
    title: 'The endpoint of the language model answered with an error. Check the key, the model and its limits there.',
  },
  model_timed_out: {
    status: 504,
    stage: 'answer',
    title: 'The language model did not answer in time. Raise `timeoutMs`, or take a faster model.',
  },
  model_answer_invalid: {
    status: 502,
    stage: 'answer',
    title: 'What the language model answered cannot be sent to a customer. See `detail` of the step in the trace.',
  },
  ai_limit_reached: {
    status: 429,
    stage: 'answer',
    title: 'A limit of the `ai` responder is reached. Raise it under `limits`, or have a person answer.',
  },
  conversation_with_person: {
    status: 409,
    stage: 'answer',
    title:
      'A person answers in this conversation, or is waited for. Give it back to the bot to have it answered again.',
  },
  quiet_hours: {
    status: 409,
    stage: 'answer',
    title: 'It is quiet hours by the settings under `quietHours`. The turn is answered when they end.',
  },
  conversation_loop: {
    status: 409,
    stage: 'answer',
    title:
      'The customer seems to be a program that answers our answers. A person is to look; then give it back to the bot.',
  },
  nothing_to_answer: {
    status: 409,
    stage: 'answer',
    title: 'The customer has only reacted to a message. There is nothing to answer.',
  },
  contact_ignored: {
    status: 409,
    stage: 'answer',
    title: 'This contact is on the list `ignore` of the settings. Take it off to have it answered.',
  },
  answer_too_late: {
    status: 504,
    stage: 'answer',
    title:
      'The messages were more than 24 hours old when they could have been answered. Write to the customer yourself.',
  },
  url_not_allowed: {
    status: 400,
    stage: 'request',
    title: 'This URL leads into a private network. Use a public https address, or have the operator allow the host.',
  },
  // start
  command_invalid: {
    status: 400,
    stage: 'start',
    title: 'The command is not valid. Add --help to see what there is.',
  },
  configuration_invalid: { status: 500, stage: 'start', title: 'A setting is not valid. Correct it and start again.' },
  data_directory_in_use: {
    status: 500,
    stage: 'start',
    title: 'Another process is using this data directory. Stop it first, or choose another directory with --data-dir.',
  },
  database_unreachable: {
    status: 500,
    stage: 'start',
    title: 'The database cannot be reached. Check DATABASE_URL and that the server is up.',
  },
  embedded_database_failed: {
    status: 500,
    stage: 'start',
    title: 'The embedded database does not run. Its own words stand in postgres.log in the data directory.',
  },
  database_version_mismatch: {
    status: 500,
    stage: 'start',
    title:
      'This database was made by another version of Frontdesk. Start that version, or restore a backup that it has not touched; nothing was changed.',
  },
  database_environment_mismatch: {
    status: 500,
    stage: 'start',
    title:
      'This database belongs to the other WhatsApp: emulated and real sessions never share one. Choose another data directory or database.',
  },
  master_key_missing: {
    status: 500,
    stage: 'start',
    title:
      'There is no master key here for what is sealed already. Set FRONTDESK_MASTER_KEY to the key that the database or the backup was made with, or put the key file back in its place.',
  },
  master_key_wrong: {
    status: 500,
    stage: 'start',
    title: 'This master key is not the one that the database was created with. Set the right one; nothing was changed.',
  },
  key_rotation_unfinished: {
    status: 409,
    stage: 'start',
    title:
      'A former master key is still accepted since the last rotation. When all processes have the new one, end that rotation with `frontdesk keys finish`.',
  },
  session_host_ended: {
    status: 500,
    stage: 'start',
    title: 'A process that owns sessions has ended. The log says why.',
  },
  deployment_not_started: {
    status: 500,
    stage: 'start',
    title: 'There is no deployment here yet. Start it once with `frontdesk start`, or name its data directory.',
  },
  gateway_unreachable: {
    status: 503,
    stage: 'start',
    title: 'The gateway does not answer. Start it with `frontdesk start`, or name its address by --url.',
  },
  port_in_use: { status: 500, stage: 'start', title: 'The port is taken. Choose another one with --port.' },
  // backups and imports
  backup_not_found: { status: 404, stage: 'restore', title: 'There is no such backup. See `frontdesk backup list`.' },
  backup_truncated: {
    status: 422,
    stage: 'restore',
    title: 'The backup ends before its end. Fetch it again, or take another one; nothing was changed.',
  },
  backup_damaged: {
    status: 422,
    stage: 'restore',
    title:
      'The backup is not what was written: it was damaged or tampered with. Take another one; nothing was changed.',
  },
  backup_key_wrong: {
    status: 422,
    stage: 'restore',
    title:
      'The backup was made with another master key. Name the file of that key by --master-key-file; nothing was changed.',
  },
  backup_of_another_company: {
    status: 422,
    stage: 'restore',
    title: "The backup is another company's than its name says. Take another one; nothing was changed.",
  },
  session_running: {
    status: 409,
    stage: 'restore',
    title: 'The session is running. Pause it first, so that nothing writes to it; nothing was changed.',
  },
  session_number_taken: {
    status: 409,
    stage: 'restore',
    title: 'Another session is linked to this number already. Log that one out first; nothing was changed.',
  },
  import_invalid: {
    status: 422,
    stage: 'restore',
    title:
      'This is not the whole state of a linked session. Copy all of it while its program is stopped; nothing was changed.',
  },
  // inside
  internal: {
    status: 500,
    stage: 'inside',
    title: 'Something failed inside. Nothing was lost; report it with all that is said here.',
  },
  database_full: {
    status: 507,
    stage: 'inside',
    title:
      'The database has no room left on its disk, and nothing was stored. Once its operator has made room, send the same again.',
  },
  unavailable: { status: 503, stage: 'inside', title: 'The gateway cannot take this now. Try again shortly.' },
} as const satisfies Record<string, { status: number; stage: string; title: string }>

export type ErrorCode = keyof typeof ERRORS

interface FrontdeskErrorOptions extends ErrorOptions {
  /** From when on the same can succeed. */
  retryAt?: Date
}

/** An error of the catalogue. `detail` adds what is particular to this case and never holds a secret or a message's body. */
export class FrontdeskError extends Error {
  readonly code: ErrorCode
  readonly detail: string | undefined
  readonly retryAt: Date | undefined
  constructor(code: ErrorCode, detail?: string, { retryAt, ...options }: FrontdeskErrorOptions = {}) {
    super(detail === undefined ? ERRORS[code].title : `${ERRORS[code].title} ${detail}`, options)
    this.name = 'FrontdeskError'
    this.code = code
    this.detail = detail
    this.retryAt = retryAt
  }
}
