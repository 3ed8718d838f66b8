/** The operator's `/v1/admin/users/{id}/keys`. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { MiddlewareHandler } from 'hono';
import { type HttpEnv, jsonBody, validationHook } from '../platform/http';
import { adminSecurity, problemResponses } from '../platform/openapi';
import { adminOnly } from './admin-only';
import type { Authenticate } from './authenticate';
import {
  issuedKeySchema,
  keyPageSchema,
  newKeySchema,
  presentIssuedKey,
  presentKeys,
} from './key-contract';
import type { KeyService } from './key-service';

interface Deps {
  readonly authenticate: Authenticate;
  readonly keys: KeyService;
}

const json = <Schema extends z.ZodType>(schema: Schema, description: string) => ({
  description,
  content: { 'application/json': { schema } },
});
const body = <Schema extends z.ZodType>(schema: Schema) => ({
  required: true,
  content: { 'application/json': { schema } },
});
// Plain strings: a malformed id is an unknown one, which the service answers with not_found.
const userParams = z.object({ id: z.string() });
const keyParams = z.object({ id: z.string(), key_id: z.string() });

const admin = { tags: ['Admin'], security: adminSecurity };

export function createKeyRoutes(deps: Deps): OpenAPIHono<HttpEnv> {
  const routes = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });
  const admins = adminOnly(deps.authenticate);
  addKeyRoutes(routes, deps, admins);
  return routes;
}

function addKeyRoutes(
  routes: OpenAPIHono<HttpEnv>,
  { keys }: Deps,
  admins: MiddlewareHandler<HttpEnv>,
): void {
  const create = createRoute({
    ...admin,
    method: 'post',
    path: '/v1/admin/users/{id}/keys',
    summary: 'Issue an API key',
    middleware: [admins, jsonBody()],
    request: { params: userParams, body: body(newKeySchema) },
    responses: {
      201: json(issuedKeySchema, 'The key, shown this once'),
      ...problemResponses(400, 401, 404, 413, 415, 422),
    },
  });
  routes.openapi(create, async (c) => {
    const { name, scopes } = c.req.valid('json');
    const userId = c.req.valid('param').id;
    const issued = await keys.createKey({ userId, name, scopes, by: c.get('by') });
    c.header('cache-control', 'no-store');
    return c.json(presentIssuedKey(issued), 201);
  });

  const list = createRoute({
    ...admin,
    method: 'get',
    path: '/v1/admin/users/{id}/keys',
    summary: "List a user's keys, oldest first",
    middleware: [admins],
    request: { params: userParams },
    responses: { 200: json(keyPageSchema, 'All keys'), ...problemResponses(401, 404) },
  });
  routes.openapi(list, async (c) => {
    return c.json(presentKeys(await keys.listKeys(c.req.valid('param').id)), 200);
  });

  const revoke = createRoute({
    ...admin,
    method: 'delete',
    path: '/v1/admin/users/{id}/keys/{key_id}',
    summary: 'Revoke an API key',
    description: 'Writing ends at once, reading within 30 seconds.',
    middleware: [admins],
    request: { params: keyParams },
    responses: { 204: { description: 'Revoked' }, ...problemResponses(401, 404) },
  });
  routes.openapi(revoke, async (c) => {
    const { id, key_id: keyId } = c.req.valid('param');
    await keys.revokeKey({ userId: id, keyId, by: c.get('by') });
    return c.body(null, 204);
  });
}
