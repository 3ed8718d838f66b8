/** Reading, watching, listing, cancelling, retrying and deleting requests of any kind. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { Authenticate } from '../accounts/authenticate';
import { type HttpEnv, preferredWaitMs, validationHook } from '../platform/http';
import { isId, type RequestId } from '../platform/ids';
import {
  apiKeySecurity,
  headersOf,
  json,
  problemResponses,
  watchSecurity,
} from '../platform/openapi';
import { answerSubmitted, describe, describeWait, requestHeaders } from './answers';
import { requestNotFound } from './errors';
import { eventStream, hasSeenAll, STREAM_HEADERS, versionSeen } from './event-stream';
import { readIdempotencyKey } from './idempotency';
import { isKnown, isNews, readIfNoneMatch } from './known-versions';
import { listQuerySchema, pageOf, readListQuery } from './listing';
import { createPreviewFeed } from './preview-events';
import type { RequestService } from './service';
import { isTerminal, type RequestState } from './types';
import { type PresentRequest, requestViewSchema } from './view';

export interface RequestRouteDeps {
  readonly authenticate: Authenticate;
  readonly requests: RequestService;
  readonly present: PresentRequest;
}

const tags = ['Requests'];
const params = z.object({ id: z.string().openapi({ example: 'req_0…' }) });

const listSchema = z
  .object({
    items: z.array(requestViewSchema),
    next_cursor: z.string().nullable(),
    total: z.int().optional(),
  })
  .openapi('RequestList');

const listRoute = createRoute({
  method: 'get',
  path: '/v1/requests',
  tags,
  security: apiKeySecurity,
  summary: 'List requests, from the index (D1)',
  request: { query: listQuerySchema },
  responses: {
    200: { description: 'A page', content: json(listSchema) },
    ...problemResponses(401, 403, 422, 503),
  },
});

const getRoute = createRoute({
  method: 'get',
  path: '/v1/requests/{id}',
  tags,
  security: watchSecurity,
  summary: 'Read a request; `Prefer: wait=n` waits for its next version',
  description:
    '`Prefer: wait=n` (at most 60 s) holds the line until there is a version that `If-None-Match` ' +
    'does not name, or, without it, the next one; `Preference-Applied` says so. `Retry-After` says ' +
    'when who polls should look again.',
  request: {
    params,
    headers: z.object({
      'if-none-match': z.string().optional().openapi({ example: '"3"' }),
      prefer: z.string().optional().openapi({ example: 'wait=30' }),
    }),
  },
  responses: {
    200: {
      description: 'The request',
      headers: headersOf({
        ...requestHeaders,
        'Preference-Applied': '`wait=n`, when the line was held',
      }),
      content: json(requestViewSchema),
    },
    304: { description: 'Not changed since the version in `If-None-Match`' },
    ...problemResponses(401, 403, 404, 429, 503),
  },
});

const eventsRoute = createRoute({
  method: 'get',
  path: '/v1/requests/{id}/events',
  tags,
  security: watchSecurity,
  summary: 'Follow a request as server-sent events; `Last-Event-ID` resumes',
  description:
    'Every version once and in order, with the version as id. An id in `Last-Event-ID` that was ' +
    'never sent here counts as none. A comment every 15 s keeps the line open. With `previews=true` ' +
    'a `request.preview` without an id comes for each interim image that the request asked for ' +
    '(`previews`) and its provider gives while somebody listens: `data` is `{attempt, index, ' +
    'media_type, b64_json}`.',
  request: {
    params,
    query: z.object({ previews: z.enum(['true', 'false']).optional() }),
    headers: z.object({ 'last-event-id': z.string().optional().openapi({ example: '2' }) }),
  },
  responses: {
    200: {
      description:
        'One event per version: `{type, timestamp, sequence, data}`. `data` is the request as it ' +
        'is when the event is sent. The stream ends with the terminal event',
      content: { 'text/event-stream': { schema: z.string() } },
    },
    204: { description: '`Last-Event-ID` is the last event: an EventSource stops here' },
    ...problemResponses(401, 403, 404, 422, 429, 503),
  },
});

const cancelRoute = createRoute({
  method: 'post',
  path: '/v1/requests/{id}/cancel',
  tags,
  security: apiKeySecurity,
  summary: 'Cancel a request; one that has ended is answered as it is',
  request: { params },
  responses: {
    200: { description: 'The request', content: json(requestViewSchema) },
    ...problemResponses(401, 403, 404, 503),
  },
});

const retryRoute = createRoute({
  method: 'post',
  path: '/v1/requests/{id}/retry',
  tags,
  security: apiKeySecurity,
  summary: 'Submit an ended request again, as a new one with `retry_of`',
  request: { params },
  responses: {
    202: { description: 'The new request', content: json(requestViewSchema) },
    200: { description: 'Replay of an idempotency key', content: json(requestViewSchema) },
    ...problemResponses(401, 403, 404, 409, 410, 422, 429, 503),
  },
});

const deleteRoute = createRoute({
  method: 'delete',
  path: '/v1/requests/{id}',
  tags,
  security: apiKeySecurity,
  summary: 'Delete a request and its images; a live one is canceled first',
  request: { params },
  responses: { 204: { description: 'Gone' }, ...problemResponses(401, 403, 404, 503) },
});

export function createRequestRoutes(deps: RequestRouteDeps): OpenAPIHono<HttpEnv> {
  const { authenticate, requests, present } = deps;
  const app = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });

  const named = async (c: Context<HttpEnv>) => {
    const credential = await authenticate.credential(c.get('asking'));
    return { credential, id: requestId(c.req.param('id') ?? '') };
  };

  app.openapi(listRoute, async (c) => {
    const { userId } = await authenticate.principal(c.get('asking'), 'requests:read');
    const asked = readListQuery(c.req.valid('query'), userId);
    const [rows, total] = await Promise.all([
      requests.list({ ...asked.query, limit: asked.query.limit + 1 }),
      asked.includeTotal ? requests.count(asked.query) : undefined,
    ]);
    const page = pageOf(rows, asked);
    const items = page.rows.map((row) => present(row.state));
    const body = { items, next_cursor: page.nextCursor };
    return c.json(total === undefined ? body : { ...body, total }, 200);
  });

  app.openapi(getRoute, async (c) => {
    const input = await named(c);
    const known = readIfNoneMatch(c.req.header('if-none-match'));
    const ms = preferredWaitMs(c);
    const first = await requests.get(input);
    const isWorthIt = ({ version }: RequestState) => isNews(version, known, first.state.version);
    const isHeld = ms !== null && !isTerminal(first.state) && !isWorthIt(first.state);
    const hungUp = c.get('hungUp');
    const snapshot = isHeld
      ? await requests.wait({ ...input, ms, hungUp, known: first, until: isWorthIt })
      : first;
    describe(c, snapshot);
    describeWait(c, ms);
    if (isKnown(snapshot.state.version, known)) return c.body(null, 304);
    return c.json(present(snapshot.state, snapshot), 200);
  });

  app.openapi(eventsRoute, async (c) => {
    const input = await named(c);
    const snapshot = await requests.get(input);
    const after = versionSeen(c.req.header('last-event-id'), snapshot.state);
    // Whatever else a stream ends with, a browser's EventSource comes again.
    if (hasSeenAll(after, snapshot.state)) return c.body(null, 204);
    // Nobody would read what is told, and it would be held for a minute.
    if (c.req.method === 'HEAD') return c.body(null, 200, STREAM_HEADERS);
    const previews = c.req.valid('query').previews === 'true' ? createPreviewFeed() : null;
    const watched = { ...input, onPreview: previews?.put };
    return eventStream({
      snapshot,
      after,
      previews,
      watch: isTerminal(snapshot.state) ? null : await requests.watch(watched),
      watchAgain: () => requests.watch(watched),
      read: () => requests.get(input),
      present,
      hungUp: c.get('hungUp'),
    });
  });

  app.openapi(cancelRoute, async (c) => {
    const snapshot = await requests.cancel(await named(c));
    describe(c, snapshot);
    return c.json(present(snapshot.state, snapshot), 200);
  });

  app.openapi(retryRoute, async (c) => {
    const submitted = await requests.retry({
      ...(await named(c)),
      idempotencyKey: readIdempotencyKey(c.req.header('idempotency-key')),
      origin: c.get('origin'),
      correlationId: c.get('correlationId'),
      traceparent: c.get('traceparent'),
    });
    return answerSubmitted(c, submitted, present);
  });

  app.openapi(deleteRoute, async (c) => {
    await requests.remove(await named(c));
    return c.body(null, 204);
  });

  return app;
}

function requestId(text: string): RequestId {
  if (!isId('req', text)) throw requestNotFound(text);
  return text;
}
