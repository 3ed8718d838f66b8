/** `/v1/webhooks`: endpoints, and the secrets that sign. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context, MiddlewareHandler } from 'hono';
import type { Authenticate } from '../../accounts/authenticate';
import { type HttpEnv, jsonBody, validationHook } from '../../platform/http';
import { apiKeySecurity, bodyOf, jsonAnswer, problemResponses } from '../../platform/openapi';
import { readIdempotencyKey } from '../../requests/idempotency';
import { iso } from '../../requests/view';
import {
  endpointChangesSchema,
  endpointListSchema,
  endpointSchema,
  endpointWithSecretSchema,
  newEndpointSchema,
  pingSchema,
  rotatedDefaultSecretSchema,
  secretRotationSchema,
} from './contract';
import type { CallContext, EndpointService } from './service';
import type { Endpoint } from './types';
import { presentEndpoint } from './view';

interface Deps {
  readonly authenticate: Authenticate;
  readonly endpoints: EndpointService;
  readonly now: () => number;
}

type Routes = OpenAPIHono<HttpEnv>;

// Plain strings: a malformed id is an unknown one, which the service answers with not_found.
const params = z.object({ id: z.string().openapi({ example: 'whk_…' }) });
const idempotencyKey = z.object({
  'idempotency-key': z
    .string()
    .optional()
    .openapi({
      description:
        'Within 24 hours the same key is answered with what the first call made, secret included ' +
        '(`Idempotent-Replayed: true` when an endpoint was made)',
    }),
});

const webhooks = { tags: ['Webhooks'], security: apiKeySecurity };

export function createEndpointRoutes(deps: Deps): Routes {
  const routes = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });
  // Who asks comes before what is asked: a stranger learns nothing of how bodies are checked.
  const clients: MiddlewareHandler<HttpEnv> = async (c, next) => {
    await deps.authenticate.credential(c.get('asking'));
    await next();
  };
  addReadRoutes(routes, deps, clients);
  addChangeRoutes(routes, deps, clients);
  addSecretRoutes(routes, deps, clients);
  addStatusRoutes(routes, deps);
  return routes;
}

function addReadRoutes(
  routes: Routes,
  { authenticate, endpoints, now }: Deps,
  clients: MiddlewareHandler<HttpEnv>,
): void {
  const list = createRoute({
    ...webhooks,
    method: 'get',
    path: '/v1/webhooks',
    summary: 'List your webhook endpoints, oldest first',
    description: 'All in one answer: there is no `limit` and no `cursor` to give.',
    middleware: [clients],
    request: { query: z.strictObject({}) },
    responses: {
      200: jsonAnswer(endpointListSchema, 'All of them'),
      ...problemResponses(401, 403, 422),
    },
  });
  routes.openapi(list, async (c) => {
    const credential = await authenticate.credential(c.get('asking'));
    const items = await endpoints.list({ credential });
    return c.json(
      { items: items.map((item) => presentEndpoint(item, now())), next_cursor: null },
      200,
    );
  });

  const get = createRoute({
    ...webhooks,
    method: 'get',
    path: '/v1/webhooks/{id}',
    summary: 'Read a webhook endpoint',
    request: { params },
    responses: {
      200: jsonAnswer(endpointSchema, 'The endpoint'),
      ...problemResponses(401, 403, 404),
    },
  });
  routes.openapi(get, async (c) => {
    const credential = await authenticate.credential(c.get('asking'));
    const endpoint = await endpoints.get({ credential, id: c.req.valid('param').id });
    return c.json(presentEndpoint(endpoint, now()), 200);
  });
}

function addChangeRoutes(
  routes: Routes,
  { authenticate, endpoints, now }: Deps,
  clients: MiddlewareHandler<HttpEnv>,
): void {
  const create = createRoute({
    ...webhooks,
    method: 'post',
    path: '/v1/webhooks',
    summary: 'Add a webhook endpoint',
    description:
      'Events that happen from now on are posted to it, signed with its secret as in Standard ' +
      'Webhooks. An account has 50 endpoints at the most; one more is refused with 403.',
    middleware: [clients, jsonBody()],
    request: { headers: idempotencyKey, body: bodyOf(newEndpointSchema) },
    responses: {
      200: jsonAnswer(endpointWithSecretSchema, 'The endpoint that this Idempotency-Key has made'),
      201: jsonAnswer(endpointWithSecretSchema, 'The endpoint, with its secret'),
      ...problemResponses(400, 401, 403, 413, 415, 422),
    },
  });
  routes.openapi(create, async (c) => {
    const credential = await authenticate.credential(c.get('asking'));
    const { endpoint, replayed } = await endpoints.create({
      credential,
      fields: c.req.valid('json'),
      idempotencyKey: readIdempotencyKey(c.req.header('idempotency-key')),
      context: contextOf(c),
    });
    c.header('Location', `${c.get('origin')}/v1/webhooks/${endpoint.id}`);
    if (replayed) c.header('Idempotent-Replayed', 'true');
    c.header('Cache-Control', 'no-store');
    return c.json(withSecret(endpoint, now()), replayed ? 200 : 201);
  });

  const change = createRoute({
    ...webhooks,
    method: 'patch',
    path: '/v1/webhooks/{id}',
    summary: 'Change a webhook endpoint',
    description: 'A new URL gets what is still to be delivered, too. A disabled endpoint stays so.',
    middleware: [clients, jsonBody()],
    request: { params, body: bodyOf(endpointChangesSchema) },
    responses: {
      200: jsonAnswer(endpointSchema, 'The endpoint'),
      ...problemResponses(400, 401, 403, 404, 413, 415, 422),
    },
  });
  routes.openapi(change, async (c) => {
    const credential = await authenticate.credential(c.get('asking'));
    const { id } = c.req.valid('param');
    const changes = c.req.valid('json');
    const endpoint = await endpoints.change({ credential, id, changes, context: contextOf(c) });
    return c.json(presentEndpoint(endpoint, now()), 200);
  });

  const remove = createRoute({
    ...webhooks,
    method: 'delete',
    path: '/v1/webhooks/{id}',
    summary: 'Delete a webhook endpoint',
    description: 'What is still to be delivered to it is not any more.',
    request: { params },
    responses: { 204: { description: 'Deleted' }, ...problemResponses(401, 403, 404) },
  });
  routes.openapi(remove, async (c) => {
    const credential = await authenticate.credential(c.get('asking'));
    await endpoints.remove({ credential, id: c.req.valid('param').id });
    return c.body(null, 204);
  });
}

const ROTATION =
  'For `overlap_seconds`, a day unless said otherwise, deliveries carry the signatures of both ' +
  'secrets. Two sign at the most: rotating again within that time ends the oldest at once. With an ' +
  '`Idempotency-Key` a rotation whose answer got lost can be asked for again without that, and ' +
  'though another has followed: while the secret that it made signs, that is the answer, and 409 ' +
  'once it does not. The key with another `overlap_seconds` is 422 `idempotency_mismatch`.';

function addSecretRoutes(
  routes: Routes,
  { authenticate, endpoints, now }: Deps,
  clients: MiddlewareHandler<HttpEnv>,
): void {
  const taking = {
    ...webhooks,
    description: ROTATION,
    middleware: [clients, jsonBody(undefined, { isOptional: true })],
  };
  const body = { ...bodyOf(secretRotationSchema), required: false };

  const rotateDefault = createRoute({
    ...taking,
    method: 'post',
    path: '/v1/webhooks/default-secret/rotate',
    summary: 'Replace the secret that signs events sent to a request’s `webhook_url`',
    request: { headers: idempotencyKey, body },
    responses: {
      200: jsonAnswer(rotatedDefaultSecretSchema, 'The new secret'),
      ...problemResponses(400, 401, 403, 409, 413, 415, 422),
    },
  });
  routes.openapi(rotateDefault, async (c) => {
    const credential = await authenticate.credential(c.get('asking'));
    const overlapMs = c.req.valid('json').overlap_seconds * 1_000;
    const madeBy = readIdempotencyKey(c.req.header('idempotency-key'));
    const rotated = await endpoints.rotateDefaultSecret({ credential, overlapMs, madeBy });
    const { secret, previousExpiresAt: ends } = rotated;
    c.header('Cache-Control', 'no-store');
    return c.json({ secret, previous_secret_expires_at: ends === null ? null : iso(ends) }, 200);
  });

  const rotate = createRoute({
    ...taking,
    method: 'post',
    path: '/v1/webhooks/{id}/rotate-secret',
    summary: 'Replace the secret of a webhook endpoint',
    request: { params, headers: idempotencyKey, body },
    responses: {
      200: jsonAnswer(endpointWithSecretSchema, 'The endpoint, with its new secret'),
      ...problemResponses(400, 401, 403, 404, 409, 413, 415, 422),
    },
  });
  routes.openapi(rotate, async (c) => {
    const credential = await authenticate.credential(c.get('asking'));
    const overlapMs = c.req.valid('json').overlap_seconds * 1_000;
    const madeBy = readIdempotencyKey(c.req.header('idempotency-key'));
    const { id } = c.req.valid('param');
    const made = await endpoints.rotateSecret({ credential, id, overlapMs, madeBy });
    c.header('Cache-Control', 'no-store');
    return c.json({ ...presentEndpoint(made.endpoint, now()), secret: made.secret }, 200);
  });
}

function addStatusRoutes(routes: Routes, { authenticate, endpoints, now }: Deps): void {
  const ping = createRoute({
    ...webhooks,
    method: 'post',
    path: '/v1/webhooks/{id}/ping',
    summary: 'Send an `endpoint.ping` now, and say what came back',
    description:
      'Signed and logged as any delivery, and not tried again. It reaches a disabled endpoint, too, ' +
      'and changes nothing of its status. It counts as a request against your rate limit.',
    request: { params },
    responses: {
      200: jsonAnswer(pingSchema, 'What came back'),
      ...problemResponses(401, 403, 404, 429),
    },
  });
  routes.openapi(ping, async (c) => {
    const credential = await authenticate.credential(c.get('asking'));
    const { id } = c.req.valid('param');
    const result = await endpoints.ping({ credential, id, context: contextOf(c) });
    const { status, durationMs: duration_ms, response, error } = result;
    const ok = status !== null && status >= 200 && status < 300;
    return c.json({ ok, status, duration_ms, response, error }, 200);
  });

  const disable = createRoute({
    ...webhooks,
    method: 'post',
    path: '/v1/webhooks/{id}/disable',
    summary: 'Disable a webhook endpoint',
    description: 'Nothing is delivered to it until it is enabled; events in between are skipped.',
    request: { params },
    responses: {
      200: jsonAnswer(endpointSchema, 'The endpoint'),
      ...problemResponses(401, 403, 404),
    },
  });
  routes.openapi(disable, async (c) => {
    const credential = await authenticate.credential(c.get('asking'));
    const endpoint = await endpoints.disable({ credential, id: c.req.valid('param').id });
    return c.json(presentEndpoint(endpoint, now()), 200);
  });

  const enable = createRoute({
    ...webhooks,
    method: 'post',
    path: '/v1/webhooks/{id}/enable',
    summary: 'Enable a webhook endpoint that answers a ping',
    description:
      'It is pinged first, and enabled by a 2xx only; else the answer is 409 ' +
      '`endpoint_not_reachable` with `probe`, what the ping brought. One that is active is not pinged.',
    request: { params },
    responses: {
      200: jsonAnswer(endpointSchema, 'The endpoint'),
      ...problemResponses(401, 403, 404, 409, 429),
    },
  });
  routes.openapi(enable, async (c) => {
    const credential = await authenticate.credential(c.get('asking'));
    const { id } = c.req.valid('param');
    const endpoint = await endpoints.enable({ credential, id, context: contextOf(c) });
    return c.json(presentEndpoint(endpoint, now()), 200);
  });
}

const withSecret = (endpoint: Endpoint, now: number) => ({
  ...presentEndpoint(endpoint, now),
  secret: endpoint.secrets[0]?.secret ?? '',
});

const contextOf = (c: Context<HttpEnv>): CallContext => ({
  origin: c.get('origin'),
  correlationId: c.get('correlationId'),
  traceparent: c.get('traceparent'),
});
