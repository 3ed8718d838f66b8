/** `/v1/tickets`. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { type HttpEnv, jsonBody, validationHook } from '../../platform/http';
import { apiKeySecurity, bodyOf, jsonAnswer, problemResponses } from '../../platform/openapi';
import type { Authenticate } from '../authenticate';
import type { Minted, TicketService } from './service';

interface Deps {
  readonly authenticate: Authenticate;
  readonly tickets: TicketService;
}

const newTicketSchema = z
  .strictObject({
    request_id: z
      .string()
      .min(1)
      .max(64)
      .optional()
      .describe('The one request that it opens; without it, all of the user’s'),
    expires_in_seconds: z
      .int()
      .min(60)
      .max(86_400)
      .default(3_600)
      .describe('Until then it opens; what it has opened stays open'),
  })
  .openapi('NewTicket');

const ticketSchema = z
  .object({
    ticket: z.string(),
    expires_at: z.iso.datetime().describe('Sooner than asked for where the key or token ends'),
    urls: z.object({
      events: z
        .url()
        .describe(
          'With the ticket in it. Of one request: server-sent events, for EventSource. Of all: ' +
            'for WebSocket',
        ),
    }),
  })
  .openapi('Ticket');

export function createTicketRoutes({ authenticate, tickets }: Deps): OpenAPIHono<HttpEnv> {
  const routes = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });
  const mint = createRoute({
    tags: ['Tickets'],
    security: apiKeySecurity,
    method: 'post',
    path: '/v1/tickets',
    summary: 'Make a ticket for a browser that is to watch',
    description:
      'EventSource and WebSocket send no Authorization header. A ticket in the query (`?ticket=`) ' +
      'takes its place on `GET /v1/requests/{id}`, `GET /v1/requests/{id}/events` and ' +
      '`GET /v1/events`, and nowhere else. It reads and does nothing more, and ends with the key ' +
      'or token that it was made with.',
    middleware: [
      async (c, next) => {
        await authenticate.principal(c.get('asking'), 'requests:read');
        await next();
      },
      jsonBody(undefined, { isOptional: true }),
    ],
    request: { body: { ...bodyOf(newTicketSchema), required: false } },
    responses: {
      201: jsonAnswer(ticketSchema, 'The ticket, stored nowhere'),
      ...problemResponses(400, 401, 403, 404, 413, 415, 422, 503),
    },
  });
  routes.openapi(mint, async (c) => {
    const { request_id: requestId, expires_in_seconds: seconds } = c.req.valid('json');
    const credential = await authenticate.credential(c.get('asking'));
    const minted = await tickets.mint({ credential, requestId, lifeMs: seconds * 1_000 });
    c.header('cache-control', 'no-store');
    return c.json(present(minted, c.get('origin')), 201);
  });
  return routes;
}

function present({ ticket, requestId, expiresAt }: Minted, origin: string) {
  const events =
    requestId === null
      ? `${origin.replace(/^http/, 'ws')}/v1/events`
      : `${origin}/v1/requests/${requestId}/events`;
  return {
    ticket,
    expires_at: new Date(expiresAt).toISOString(),
    urls: { events: `${events}?ticket=${ticket}` },
  };
}
