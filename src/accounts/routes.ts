import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { MiddlewareHandler } from 'hono';
import { type HttpEnv, jsonBody, MAX_ADMIN_JSON_BYTES, validationHook } from '../platform/http';
import {
  adminSecurity,
  bodyOf,
  jsonAnswer,
  pageFields,
  problemResponses,
} from '../platform/openapi';
import { adminOnly } from './admin-only';
import type { Authenticate } from './authenticate';
import {
  newUserSchema,
  presentUser,
  userChangesSchema,
  userFilterFields,
  userPageSchema,
  userSchema,
} from './contract';
import type { AccountService } from './service';

interface Deps {
  readonly authenticate: Authenticate;
  readonly accounts: AccountService;
}

// Plain strings: a malformed id is an unknown one, which the service answers with not_found.
const userParams = z.object({ id: z.string() });

const admin = { tags: ['Admin'], security: adminSecurity };

/** The operator's `/v1/admin/users`. */
export function createAccountRoutes(deps: Deps): OpenAPIHono<HttpEnv> {
  const routes = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });
  const admins = adminOnly(deps.authenticate);
  addUserListRoutes(routes, deps, admins);
  addUserRoutes(routes, deps, admins);
  addStatusRoutes(routes, deps, admins);
  return routes;
}

function addUserListRoutes(
  routes: OpenAPIHono<HttpEnv>,
  { accounts }: Deps,
  admins: MiddlewareHandler<HttpEnv>,
): void {
  const create = createRoute({
    ...admin,
    method: 'post',
    path: '/v1/admin/users',
    summary: 'Create a user',
    middleware: [admins, jsonBody(MAX_ADMIN_JSON_BYTES)],
    request: { body: bodyOf(newUserSchema) },
    responses: {
      201: jsonAnswer(userSchema, 'The user'),
      ...problemResponses(400, 401, 409, 413, 415, 422, 503),
    },
  });
  routes.openapi(create, async (c) => {
    const { name, limits = {}, external_id: externalId = null, ...place } = c.req.valid('json');
    const { region = null, jurisdiction = null } = place;
    const by = c.get('by');
    const user = { name, externalId, limits, region, jurisdiction };
    const account = await accounts.createUser({ ...user, by });
    c.header('location', `${c.get('origin')}/v1/admin/users/${account.userId}`);
    return c.json(presentUser(account), 201);
  });

  const list = createRoute({
    ...admin,
    method: 'get',
    path: '/v1/admin/users',
    summary: 'List users, newest first',
    description: 'Read from the index: a user made a moment ago may not be there yet.',
    middleware: [admins],
    request: { query: z.strictObject({ ...pageFields, ...userFilterFields }) },
    responses: {
      200: jsonAnswer(userPageSchema, 'A page of users'),
      ...problemResponses(401, 422),
    },
  });
  routes.openapi(list, async (c) => {
    const { limit, cursor, status, external_id: externalId } = c.req.valid('query');
    const page = await accounts.listUsers({ limit, cursor, status, externalId });
    return c.json({ items: page.items.map(presentUser), next_cursor: page.nextCursor }, 200);
  });
}

function addUserRoutes(
  routes: OpenAPIHono<HttpEnv>,
  { accounts }: Deps,
  admins: MiddlewareHandler<HttpEnv>,
): void {
  const get = createRoute({
    ...admin,
    method: 'get',
    path: '/v1/admin/users/{id}',
    summary: 'Read a user',
    middleware: [admins],
    request: { params: userParams },
    responses: { 200: jsonAnswer(userSchema, 'The user'), ...problemResponses(401, 404) },
  });
  routes.openapi(get, async (c) => {
    return c.json(presentUser(await accounts.getUser(c.req.valid('param').id)), 200);
  });

  const update = createRoute({
    ...admin,
    method: 'patch',
    path: '/v1/admin/users/{id}',
    summary: "Change a user's name or limits",
    description: 'Limits that are not named stay as they are.',
    middleware: [admins, jsonBody(MAX_ADMIN_JSON_BYTES)],
    request: { params: userParams, body: bodyOf(userChangesSchema) },
    responses: {
      200: jsonAnswer(userSchema, 'The user'),
      ...problemResponses(400, 401, 404, 409, 413, 415, 422),
    },
  });
  routes.openapi(update, async (c) => {
    const input = { changes: c.req.valid('json'), by: c.get('by') };
    return c.json(presentUser(await accounts.changeUser(c.req.valid('param').id, input)), 200);
  });
}

function addStatusRoutes(
  routes: OpenAPIHono<HttpEnv>,
  { accounts }: Deps,
  admins: MiddlewareHandler<HttpEnv>,
): void {
  const responses = { 200: jsonAnswer(userSchema, 'The user'), ...problemResponses(401, 404, 409) };

  const suspend = createRoute({
    ...admin,
    method: 'post',
    path: '/v1/admin/users/{id}/suspend',
    summary: 'Suspend a user',
    description:
      'Keys are refused and nothing more is started. Calls that run come to their end; requests that ' +
      'wait are canceled with `account_suspended`.',
    middleware: [admins],
    request: { params: userParams },
    responses,
  });
  routes.openapi(suspend, async (c) => {
    const input = { status: 'suspended', by: c.get('by') } as const;
    return c.json(presentUser(await accounts.changeStatus(c.req.valid('param').id, input)), 200);
  });

  const resume = createRoute({
    ...admin,
    method: 'post',
    path: '/v1/admin/users/{id}/resume',
    summary: 'Resume a suspended user',
    middleware: [admins],
    request: { params: userParams },
    responses,
  });
  routes.openapi(resume, async (c) => {
    const input = { status: 'active', by: c.get('by') } as const;
    return c.json(presentUser(await accounts.changeStatus(c.req.valid('param').id, input)), 200);
  });
}
