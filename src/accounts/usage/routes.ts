/** `/v1/me/usage`, and the operator's view of the same. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { type HttpEnv, validationHook } from '../../platform/http';
import { adminSecurity, apiKeySecurity, problemResponses } from '../../platform/openapi';
import { adminOnly } from '../admin-only';
import type { Authenticate } from '../authenticate';
import { presentUsage, readUsageQuery, usagePageSchema, usageQuerySchema } from './contract';
import type { UsageService } from './service';

interface Deps {
  readonly authenticate: Authenticate;
  readonly usage: UsageService;
  readonly now: () => number;
}

const description =
  'Sums over requests by the time of their creation, deleted ones included. They follow the ' +
  'requests within moments; a request that has not ended counts with what it has cost so far.';
const page = {
  description: 'A page of groups, in their order',
  content: { 'application/json': { schema: usagePageSchema } },
};

export function createUsageRoutes(deps: Deps): OpenAPIHono<HttpEnv> {
  const routes = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });
  addOwnRoute(routes, deps);
  addAdminRoute(routes, deps);
  return routes;
}

function addOwnRoute(routes: OpenAPIHono<HttpEnv>, { authenticate, usage, now }: Deps): void {
  const own = createRoute({
    tags: ['Account'],
    security: apiKeySecurity,
    method: 'get',
    path: '/v1/me/usage',
    summary: 'What was made, and for how much',
    description,
    middleware: [
      async (c, next) => {
        await authenticate.principal(c.get('asking'), 'requests:read');
        await next();
      },
    ],
    request: { query: usageQuerySchema },
    responses: { 200: page, ...problemResponses(401, 403, 422, 503) },
  });
  routes.openapi(own, async (c) => {
    const { userId } = await authenticate.credential(c.get('asking'));
    const query = readUsageQuery(c.req.valid('query'), now());
    return c.json(presentUsage(await usage.ofUser(userId, query), query), 200);
  });
}

function addAdminRoute(routes: OpenAPIHono<HttpEnv>, { authenticate, usage, now }: Deps): void {
  const theirs = createRoute({
    tags: ['Admin'],
    security: adminSecurity,
    method: 'get',
    path: '/v1/admin/users/{id}/usage',
    summary: 'What a user has had made, and for how much',
    description,
    middleware: [adminOnly(authenticate)],
    // A plain string: a malformed id is an unknown one, which the service answers with not_found.
    request: { params: z.object({ id: z.string() }), query: usageQuerySchema },
    responses: { 200: page, ...problemResponses(401, 404, 422, 503) },
  });
  routes.openapi(theirs, async (c) => {
    const query = readUsageQuery(c.req.valid('query'), now());
    const groups = await usage.ofAny(c.req.valid('param').id, query);
    return c.json(presentUsage(groups, query), 200);
  });
}
