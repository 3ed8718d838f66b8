/** The operator's `/v1/admin/audit`. */
import { createRoute, OpenAPIHono } from '@hono/zod-openapi';
import { type HttpEnv, validationHook } from '../../platform/http';
import { adminSecurity, problemResponses } from '../../platform/openapi';
import { adminOnly } from '../admin-only';
import type { Authenticate } from '../authenticate';
import { auditPageSchema, auditQuerySchema, presentAuditEvent } from './contract';
import type { AuditService } from './service';

export function createAuditRoutes(deps: {
  readonly authenticate: Authenticate;
  readonly audit: Pick<AuditService, 'list'>;
}): OpenAPIHono<HttpEnv> {
  const routes = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });
  const list = createRoute({
    tags: ['Admin'],
    security: adminSecurity,
    method: 'get',
    path: '/v1/admin/audit',
    summary: 'Who did what, newest first',
    description:
      'Every change by an operator, the first use of a key, and deletions by clients. Nothing is ' +
      'ever changed or removed. What a user’s foreman has recorded appears within moments.',
    middleware: [adminOnly(deps.authenticate)],
    request: { query: auditQuerySchema },
    responses: {
      200: {
        description: 'A page of events',
        content: { 'application/json': { schema: auditPageSchema } },
      },
      ...problemResponses(401, 422, 503),
    },
  });
  routes.openapi(list, async (c) => {
    const query = c.req.valid('query');
    const page = await deps.audit.list({
      limit: query.limit,
      cursor: query.cursor,
      userId: query.user_id ?? null,
      action: query.action ?? null,
      actorId: query.actor_id ?? null,
      target: query.target ?? null,
      createdAfter: query.created_after === undefined ? null : Date.parse(query.created_after),
      createdBefore: query.created_before === undefined ? null : Date.parse(query.created_before),
    });
    return c.json({ items: page.items.map(presentAuditEvent), next_cursor: page.nextCursor }, 200);
  });
  return routes;
}
