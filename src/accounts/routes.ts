import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { MiddlewareHandler } from 'hono';
import { type HttpEnv, jsonBody, validationHook } from '../platform/http';
import { adminSecurity, apiKeySecurity, pageFields, problemResponses } from '../platform/openapi';
import type { Authenticate } from './authenticate';
import {
  issuedKeySchema,
  keyPageSchema,
  limitChangesSchema,
  meSchema,
  newKeySchema,
  newUserSchema,
  presentIssuedKey,
  presentKeys,
  presentMe,
  presentUser,
  userPageSchema,
  userSchema,
} from './contract';
import type { AccountService } from './service';

interface Deps {
  readonly authenticate: Authenticate;
  readonly accounts: AccountService;
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

/** `/v1/me` and the operator's `/v1/admin/users`. */
export function createAccountRoutes(deps: Deps): OpenAPIHono<HttpEnv> {
  const routes = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });
  // Before the body is read: a stranger learns nothing about its validity.
  const adminOnly: MiddlewareHandler<HttpEnv> = async (c, next) => {
    deps.authenticate.admin(c.req.raw.headers);
    await next();
  };
  addUserListRoutes(routes, deps, adminOnly);
  addUserRoutes(routes, deps, adminOnly);
  addKeyRoutes(routes, deps, adminOnly);
  addMeRoute(routes, deps);
  return routes;
}

function addUserListRoutes(
  routes: OpenAPIHono<HttpEnv>,
  { accounts }: Deps,
  adminOnly: MiddlewareHandler<HttpEnv>,
): void {
  const create = createRoute({
    ...admin,
    method: 'post',
    path: '/v1/admin/users',
    summary: 'Create a user',
    middleware: [adminOnly, jsonBody()],
    request: { body: body(newUserSchema) },
    responses: { 201: json(userSchema, 'The user'), ...problemResponses(400, 401, 413, 415, 422) },
  });
  routes.openapi(create, async (c) => {
    const { name, limits = {} } = c.req.valid('json');
    const account = await accounts.createUser({ name, limits });
    c.header('location', `${c.get('origin')}/v1/admin/users/${account.userId}`);
    return c.json(presentUser(account), 201);
  });

  const list = createRoute({
    ...admin,
    method: 'get',
    path: '/v1/admin/users',
    summary: 'List users, newest first',
    description: 'Read from the index: a user made a moment ago may not be there yet.',
    middleware: [adminOnly],
    request: { query: z.strictObject(pageFields) },
    responses: { 200: json(userPageSchema, 'A page of users'), ...problemResponses(401, 422) },
  });
  routes.openapi(list, async (c) => {
    const { limit, cursor } = c.req.valid('query');
    const page = await accounts.listUsers({ limit, cursor });
    return c.json({ items: page.items.map(presentUser), next_cursor: page.nextCursor }, 200);
  });
}

function addUserRoutes(
  routes: OpenAPIHono<HttpEnv>,
  { accounts }: Deps,
  adminOnly: MiddlewareHandler<HttpEnv>,
): void {
  const get = createRoute({
    ...admin,
    method: 'get',
    path: '/v1/admin/users/{id}',
    summary: 'Read a user',
    middleware: [adminOnly],
    request: { params: userParams },
    responses: { 200: json(userSchema, 'The user'), ...problemResponses(401, 404) },
  });
  routes.openapi(get, async (c) => {
    return c.json(presentUser(await accounts.getUser(c.req.valid('param').id)), 200);
  });

  const update = createRoute({
    ...admin,
    method: 'patch',
    path: '/v1/admin/users/{id}',
    summary: "Change a user's limits",
    description: 'Limits that are not named stay as they are.',
    middleware: [adminOnly, jsonBody()],
    request: { params: userParams, body: body(limitChangesSchema) },
    responses: {
      200: json(userSchema, 'The user'),
      ...problemResponses(400, 401, 404, 413, 415, 422),
    },
  });
  routes.openapi(update, async (c) => {
    const { limits } = c.req.valid('json');
    return c.json(presentUser(await accounts.updateLimits(c.req.valid('param').id, limits)), 200);
  });
}

function addKeyRoutes(
  routes: OpenAPIHono<HttpEnv>,
  { accounts }: Deps,
  adminOnly: MiddlewareHandler<HttpEnv>,
): void {
  const create = createRoute({
    ...admin,
    method: 'post',
    path: '/v1/admin/users/{id}/keys',
    summary: 'Issue an API key',
    middleware: [adminOnly, jsonBody()],
    request: { params: userParams, body: body(newKeySchema) },
    responses: {
      201: json(issuedKeySchema, 'The key, shown this once'),
      ...problemResponses(400, 401, 404, 413, 415, 422),
    },
  });
  routes.openapi(create, async (c) => {
    const { name, scopes } = c.req.valid('json');
    const userId = c.req.valid('param').id;
    const issued = await accounts.createKey({ userId, name, scopes });
    c.header('cache-control', 'no-store');
    return c.json(presentIssuedKey(issued), 201);
  });

  const list = createRoute({
    ...admin,
    method: 'get',
    path: '/v1/admin/users/{id}/keys',
    summary: "List a user's keys, oldest first",
    middleware: [adminOnly],
    request: { params: userParams },
    responses: { 200: json(keyPageSchema, 'All keys'), ...problemResponses(401, 404) },
  });
  routes.openapi(list, async (c) => {
    return c.json(presentKeys(await accounts.listKeys(c.req.valid('param').id)), 200);
  });

  const revoke = createRoute({
    ...admin,
    method: 'delete',
    path: '/v1/admin/users/{id}/keys/{key_id}',
    summary: 'Revoke an API key',
    description: 'Writing ends at once, reading within 30 seconds.',
    middleware: [adminOnly],
    request: { params: keyParams },
    responses: { 204: { description: 'Revoked' }, ...problemResponses(401, 404) },
  });
  routes.openapi(revoke, async (c) => {
    const { id, key_id: keyId } = c.req.valid('param');
    await accounts.revokeKey({ userId: id, keyId });
    return c.body(null, 204);
  });
}

function addMeRoute(routes: OpenAPIHono<HttpEnv>, { accounts, authenticate }: Deps): void {
  const me = createRoute({
    tags: ['Account'],
    security: apiKeySecurity,
    method: 'get',
    path: '/v1/me',
    summary: 'Whose key this is, its limits and their use',
    responses: { 200: json(meSchema, 'The account'), ...problemResponses(401, 403) },
  });
  routes.openapi(me, async (c) => {
    const credential = await authenticate.principal(c.req.raw.headers, 'requests:read');
    return c.json(presentMe(await accounts.me(credential)), 200);
  });
}
