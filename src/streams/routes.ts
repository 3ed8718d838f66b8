/** `/v1/events`: a WebSocket that hears of all requests of a user. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Authenticate } from '../accounts/authenticate';
import { deniedFault } from '../accounts/errors';
import type { Credential } from '../accounts/types';
import { mayPageOpen, type Origins } from '../platform/cors';
import { type HttpEnv, validationHook } from '../platform/http';
import { problemResponses, watchSecurity } from '../platform/openapi';
import { type EventFilter, eventFilters } from '../webhooks/endpoints/types';
import { strangePage, tooManyStreams, unknownFilters, upgradeRequired } from './errors';

export interface StreamRouteDeps {
  readonly authenticate: Authenticate;
  /** The foreman's answer to an upgrade: 101, or why not. */
  readonly open: (input: {
    readonly credential: Credential;
    readonly events: readonly EventFilter[];
  }) => Promise<Response>;
  readonly corsOrigins: Origins;
}

/** Names may be repeated; more of them than there are is no list of names. */
const MAX_EVENTS_CHARS = 1_000;

export function createStreamRoutes(deps: StreamRouteDeps): OpenAPIHono<HttpEnv> {
  const { authenticate } = deps;
  const routes = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });
  const events = createRoute({
    tags: ['Requests'],
    security: watchSecurity,
    method: 'get',
    path: '/v1/events',
    summary: 'Hear of all events, by WebSocket',
    description:
      'First `{type: "stream.opened", timestamp, data: {events}}`, then a message per event: the ' +
      'body of its webhook, and `id`. Nothing is told again: after a reconnect, ' +
      '`GET /v1/requests?updated_after=` has what was missed. `ping` is answered with `pong`; ' +
      'nothing else is to be sent. Closed with 1008 when the key or token ends, and with 1013 when ' +
      'events come faster than they can be told.',
    middleware: [
      async (c, next) => {
        await authenticate.principal(c.get('asking'), 'requests:read');
        await next();
      },
    ],
    request: {
      query: z.object({
        events: z
          .string()
          .max(MAX_EVENTS_CHARS)
          .default('*')
          .openapi({ example: 'request.*,endpoint.disabled' })
          .describe(`Separated by commas, of: ${eventFilters.join(', ')}`),
      }),
    },
    responses: {
      101: { description: 'The WebSocket' },
      ...problemResponses(401, 403, 422, 426, 429, 503),
    },
  });

  routes.openapi(events, async (c) => {
    const filters = filtersIn(c.req.valid('query').events);
    // HEAD comes here, too, and would leave a socket behind that nobody holds.
    const isUpgrade = c.req.header('upgrade')?.toLowerCase() === 'websocket';
    if (c.req.method !== 'GET' || !isUpgrade) throw upgradeRequired();
    const page = c.req.header('origin');
    const own = [c.get('origin'), new URL(c.req.url).origin];
    if (page !== undefined && !own.includes(page) && !mayPageOpen(deps.corsOrigins, page)) {
      throw strangePage();
    }
    const credential = await authenticate.credential(c.get('asking'));
    const { status, webSocket } = await deps.open({ credential, events: filters });
    if (status === 429) throw tooManyStreams();
    // Ended since it was found good.
    if (!webSocket) throw deniedFault('unauthorized', 'requests:read', credential);
    return new Response(null, { status: 101, webSocket });
  });
  return routes;
}

/** @throws AppError `invalid_request` naming what is no event */
function filtersIn(text: string): EventFilter[] {
  const names = new Set(text.split(',').map((name) => name.trim()));
  const known = eventFilters.filter((filter) => names.has(filter));
  const unknown = [...names].filter((name) => !known.some((filter) => filter === name));
  if (unknown.length > 0) throw unknownFilters(unknown);
  return known;
}
