import {
  conversation,
  conversationNote,
  conversationQuery,
  createConversationNote,
  list,
  pageQuery,
  resourceId,
  updateConversation,
} from '@frontdesk/api-contract'
import { z } from 'zod'
import { actorOf, companyOf } from '../authentication.ts'
import { ACCESS_PROBLEMS, answer, BODY_PROBLEMS, problems } from '../documented-responses.ts'
import type { HttpServer } from '../http-server.ts'
import type { HttpServices } from '../services.ts'

const tags = ['Answers']
const config = { access: 'company' } as const
const params = z.strictObject({ conversationId: resourceId })

/** Who answers in the company's chats: taking over, giving back, and what people note. */
export function conversationRoutes(server: HttpServer, { conversations }: HttpServices): void {
  server.get(
    '/v1/conversations',
    {
      config,
      schema: {
        tags,
        operationId: 'listConversations',
        summary: 'List conversations, those that began last first',
        description: 'Of `state` `waiting`: those in which a customer waits for a person.',
        querystring: conversationQuery,
        response: {
          200: answer('A page of conversations.', list(conversation)),
          ...problems(...ACCESS_PROBLEMS, 'invalid_request'),
        },
      },
    },
    (request) => conversations.list(companyOf(request), request.query),
  )

  server.get(
    '/v1/conversations/:conversationId',
    {
      config,
      schema: {
        tags,
        operationId: 'getConversation',
        summary: 'Read a conversation',
        params,
        response: { 200: answer('The conversation.', conversation), ...problems(...ACCESS_PROBLEMS, 'not_found') },
      },
    },
    (request) => conversations.get(companyOf(request), request.params.conversationId),
  )

  server.patch(
    '/v1/conversations/:conversationId',
    {
      config,
      schema: {
        tags,
        operationId: 'updateConversation',
        summary: 'Take a conversation over, give it back, assign or label it',
        description:
          'What is left out stays. With `human`, answers of responders that are not sent yet are taken back: they fail with the code `conversation_with_person`. With `bot`, responders answer what the customer writes from then on, and nothing that was written before.',
        params,
        body: updateConversation,
        response: {
          200: answer('The conversation as it is now.', conversation),
          ...problems(...ACCESS_PROBLEMS, ...BODY_PROBLEMS, 'not_found'),
        },
      },
    },
    (request) =>
      conversations.update(companyOf(request), request.params.conversationId, request.body, actorOf(request)),
  )

  server.post(
    '/v1/conversations/:conversationId/notes',
    {
      config,
      schema: {
        tags,
        operationId: 'createConversationNote',
        summary: 'Note something about a conversation',
        params,
        body: createConversationNote,
        response: {
          201: answer('The note.', conversationNote),
          ...problems(...ACCESS_PROBLEMS, ...BODY_PROBLEMS, 'not_found'),
        },
      },
    },
    async (request, reply) => {
      const { conversationId } = request.params
      const note = await conversations.addNote(companyOf(request), conversationId, request.body, actorOf(request))
      return reply.code(201).send(note)
    },
  )

  server.get(
    '/v1/conversations/:conversationId/notes',
    {
      config,
      schema: {
        tags,
        operationId: 'listConversationNotes',
        summary: 'List the notes about a conversation, newest first',
        params,
        querystring: pageQuery,
        response: {
          200: answer('A page of notes.', list(conversationNote)),
          ...problems(...ACCESS_PROBLEMS, 'invalid_request', 'not_found'),
        },
      },
    },
    (request) => conversations.notes(companyOf(request), request.params.conversationId, request.query),
  )
}
