import { createSession, list, resourceId, session, sessionDetails, updateSession } from '@frontdesk/api-contract'
import { z } from 'zod'
import type { ErrorCode } from '#src/model/errors.ts'
import { actorOf, companyOf } from '../authentication.ts'
import { ACCESS_PROBLEMS, answer, BODY_PROBLEMS, problems } from '../documented-responses.ts'
import type { HttpServer } from '../http-server.ts'
import type { HttpServices } from '../services.ts'

const tags = ['Sessions']
const config = { access: 'company' } as const
const params = z.strictObject({ sessionId: resourceId })

interface Action {
  action: 'start' | 'pause' | 'restart' | 'logout'
  summary: string
  description: string
  problems: ErrorCode[]
}

const ACTIONS: readonly Action[] = [
  {
    action: 'start',
    summary: 'Start a session, or go on with a paused one',
    description:
      'One that is linked connects; one that is not shows a linking code, which counts against the limit of attempts to link. Nothing changes for one that runs.',
    problems: ['linking_limit_reached'],
  },
  {
    action: 'pause',
    summary: 'Pause a session',
    description:
      'Its connection is closed. It stays linked, and WhatsApp keeps what arrives until it is started again.',
    problems: [],
  },
  {
    action: 'restart',
    summary: 'Restart a session',
    description:
      'Its connection is opened anew, with the settings of now. One that is being linked begins anew with linking.',
    problems: ['linking_limit_reached'],
  },
  {
    action: 'logout',
    summary: 'Log a session out',
    description:
      'The phone is told that the link is over, as soon as it can be reached; the keys are removed. Link it again to use it.',
    problems: ['session_not_linked'],
  },
]

/** Linked numbers: creating and deleting them, and what can be asked of them. Linking: session-linking.ts. */
export function sessionRoutes(server: HttpServer, { sessions }: HttpServices): void {
  server.post(
    '/v1/sessions',
    {
      config,
      schema: {
        tags,
        operationId: 'createSession',
        summary: 'Create a session',
        description: 'It does nothing yet: link it next, with `POST /v1/sessions/{sessionId}/link`.',
        body: createSession,
        response: {
          201: answer('The new session.', session),
          ...problems(...ACCESS_PROBLEMS, ...BODY_PROBLEMS, 'session_name_taken'),
        },
      },
    },
    async (request, reply) => {
      const created = await sessions.create(companyOf(request), request.body, actorOf(request))
      return reply.code(201).header('location', `/v1/sessions/${created.id}`).send(created)
    },
  )

  server.get(
    '/v1/sessions',
    {
      config,
      schema: {
        tags,
        operationId: 'listSessions',
        summary: 'List the sessions',
        response: { 200: answer('The sessions, oldest first.', list(session)), ...problems(...ACCESS_PROBLEMS) },
      },
    },
    async (request) => ({ items: await sessions.list(companyOf(request)), next: null }),
  )

  server.get(
    '/v1/sessions/:sessionId',
    {
      config,
      schema: {
        tags,
        operationId: 'getSession',
        summary: 'Read a session: its state, what happens next, and how reliable it was',
        description:
          '`state` and `reason` say how it is and why, `next` what follows and whether a person has to do something, `uptime` how much of the time it was online.',
        params,
        response: { 200: answer('The session.', sessionDetails), ...problems(...ACCESS_PROBLEMS, 'not_found') },
      },
    },
    (request) => sessions.get(companyOf(request), request.params.sessionId),
  )

  server.patch(
    '/v1/sessions/:sessionId',
    {
      config,
      schema: {
        tags,
        operationId: 'updateSession',
        summary: 'Change the name, the settings or the proxy',
        description:
          'What is left out stays. It holds from the next connection on; for another proxy or `waVersion`, a session that runs is connected anew at once.',
        params,
        body: updateSession,
        response: {
          200: answer('The session as it is now.', session),
          ...problems(
            ...[...ACCESS_PROBLEMS, ...BODY_PROBLEMS, 'not_found' as const],
            ...(['url_not_allowed', 'session_name_taken', 'session_deleted'] as const),
          ),
        },
      },
    },
    (request) => sessions.update(companyOf(request), request.params.sessionId, request.body, actorOf(request)),
  )

  server.delete(
    '/v1/sessions/:sessionId',
    {
      config,
      schema: {
        tags,
        operationId: 'deleteSession',
        summary: 'Delete a session',
        description:
          'The phone is told, if it can be reached within a minute. Then the keys, the linking code and the proxy are removed, and the name is free. Messages stay readable for 30 days, contacts for ever. It cannot be undone.',
        params,
        response: {
          202: answer('The session, which is gone in a moment.', session),
          ...problems(...ACCESS_PROBLEMS, 'not_found'),
        },
      },
    },
    async (request, reply) =>
      reply.code(202).send(await sessions.delete(companyOf(request), request.params.sessionId, actorOf(request))),
  )

  for (const { action, problems: codes, ...documentation } of ACTIONS) {
    server.post(
      `/v1/sessions/:sessionId/${action}`,
      {
        config,
        schema: {
          tags,
          operationId: `${action}Session`,
          ...documentation,
          params,
          response: {
            200: answer('The session as it is now: it goes on by itself.', session),
            ...problems(...ACCESS_PROBLEMS, 'not_found', 'session_deleted', ...codes),
          },
        },
      },
      (request) => sessions[action](companyOf(request), request.params.sessionId, actorOf(request)),
    )
  }
}
