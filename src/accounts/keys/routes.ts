/** The operator's `/v1/admin/users/{id}/keys` and `/v1/admin/keys`. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { MiddlewareHandler } from 'hono';
import { type HttpEnv, jsonBody, MAX_ADMIN_JSON_BYTES, validationHook } from '../../platform/http';
import { adminSecurity, bodyOf, jsonAnswer, problemResponses } from '../../platform/openapi';
import { adminOnly } from '../admin-only';
import type { Authenticate } from '../authenticate';
import {
  activeKeyPageSchema,
  activeKeysQuery,
  issuedKeySchema,
  keyPageSchema,
  newKeySchema,
  presentActiveKey,
  presentIssuedKey,
  presentKeys,
  rotationSchema,
} from './contract';
import type { KeyService } from './service';

interface Deps {
  readonly authenticate: Authenticate;
  readonly keys: KeyService;
}

// Plain strings: a malformed id is an unknown one, which the service answers with not_found.
const userParams = z.object({ id: z.string() });
const keyParams = z.object({ id: z.string(), key_id: z.string() });

const admin = { tags: ['Admin'], security: adminSecurity };

export function createKeyRoutes(deps: Deps): OpenAPIHono<HttpEnv> {
  const routes = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });
  const admins = adminOnly(deps.authenticate);
  addIssuingRoutes(routes, deps, admins);
  addListRoutes(routes, deps, admins);
  return routes;
}

function addIssuingRoutes(
  routes: OpenAPIHono<HttpEnv>,
  { keys }: Deps,
  admins: MiddlewareHandler<HttpEnv>,
): void {
  const create = createRoute({
    ...admin,
    method: 'post',
    path: '/v1/admin/users/{id}/keys',
    summary: 'Issue an API key',
    middleware: [admins, jsonBody(MAX_ADMIN_JSON_BYTES)],
    request: { params: userParams, body: bodyOf(newKeySchema) },
    responses: {
      201: jsonAnswer(issuedKeySchema, 'The key, shown this once'),
      ...problemResponses(400, 401, 403, 404, 409, 413, 415, 422),
    },
  });
  routes.openapi(create, async (c) => {
    const { name, scopes, expires_at: expiresAt } = c.req.valid('json');
    const userId = c.req.valid('param').id;
    const issued = await keys.createKey({ userId, name, scopes, expiresAt, by: c.get('by') });
    c.header('cache-control', 'no-store');
    return c.json(presentIssuedKey(issued), 201);
  });

  const rotate = createRoute({
    ...admin,
    method: 'post',
    path: '/v1/admin/users/{id}/keys/{key_id}/rotate',
    summary: 'Replace an API key',
    description:
      'The new key has the name, the scopes and the expiry of the old one, which stays good for a ' +
      'while. A body is needed only to say otherwise.',
    middleware: [admins, jsonBody(MAX_ADMIN_JSON_BYTES, { isOptional: true })],
    request: { params: keyParams, body: { ...bodyOf(rotationSchema), required: false } },
    responses: {
      201: jsonAnswer(issuedKeySchema, 'The new key, shown this once'),
      ...problemResponses(400, 401, 403, 404, 409, 413, 415, 422),
    },
  });
  routes.openapi(rotate, async (c) => {
    const { overlap_seconds: overlapSeconds, expires_at: expiresAt } = c.req.valid('json');
    const { id, key_id: keyId } = c.req.valid('param');
    const overlapMs = overlapSeconds * 1_000;
    const rotation = { userId: id, keyId, overlapMs, expiresAt, by: c.get('by') };
    c.header('cache-control', 'no-store');
    return c.json(presentIssuedKey(await keys.rotateKey(rotation)), 201);
  });

  const revoke = createRoute({
    ...admin,
    method: 'delete',
    path: '/v1/admin/users/{id}/keys/{key_id}',
    summary: 'Revoke an API key',
    description: 'Writing ends at once, reading within 30 seconds.',
    middleware: [admins],
    request: { params: keyParams },
    responses: { 204: { description: 'Revoked' }, ...problemResponses(401, 403, 404) },
  });
  routes.openapi(revoke, async (c) => {
    const { id, key_id: keyId } = c.req.valid('param');
    await keys.revokeKey({ userId: id, keyId, by: c.get('by') });
    return c.body(null, 204);
  });
}

function addListRoutes(
  routes: OpenAPIHono<HttpEnv>,
  { keys }: Deps,
  admins: MiddlewareHandler<HttpEnv>,
): void {
  const list = createRoute({
    ...admin,
    method: 'get',
    path: '/v1/admin/users/{id}/keys',
    summary: "List a user's keys, oldest first",
    middleware: [admins],
    request: { params: userParams },
    responses: { 200: jsonAnswer(keyPageSchema, 'All keys'), ...problemResponses(401, 403, 404) },
  });
  routes.openapi(list, async (c) => {
    return c.json(presentKeys(await keys.listKeys(c.req.valid('param').id)), 200);
  });

  const listActive = createRoute({
    ...admin,
    method: 'get',
    path: '/v1/admin/keys',
    summary: 'List the active keys of all users, those of the oldest MAC version first',
    description:
      'Neither revoked nor expired. Read from the index: a key made a moment ago may not be there yet.',
    middleware: [admins],
    request: { query: activeKeysQuery },
    responses: {
      200: jsonAnswer(activeKeyPageSchema, 'A page of keys'),
      ...problemResponses(401, 403, 422, 503),
    },
  });
  routes.openapi(listActive, async (c) => {
    const { limit, cursor, mac_version: macVersion } = c.req.valid('query');
    const page = await keys.listActiveKeys({ limit, cursor, macVersion });
    return c.json({ items: page.items.map(presentActiveKey), next_cursor: page.nextCursor }, 200);
  });
}
