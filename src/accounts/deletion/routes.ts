/** The operator's `DELETE /v1/admin/users/{id}`, and how far it has come. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { type HttpEnv, validationHook } from '../../platform/http';
import { adminSecurity, jsonAnswer, problemResponses } from '../../platform/openapi';
import { adminOnly } from '../admin-only';
import type { Authenticate } from '../authenticate';
import { deletionSchema, presentDeletion } from './contract';
import type { DeletionService } from './service';

interface Deps {
  readonly authenticate: Authenticate;
  readonly deletions: DeletionService;
}

const deletion = (description: string) => jsonAnswer(deletionSchema, description);
// A plain string: a malformed id is an unknown one, which the service answers with not_found.
const params = z.object({ id: z.string() });
const admin = { tags: ['Admin'], security: adminSecurity };

export function createDeletionRoutes({ authenticate, deletions }: Deps): OpenAPIHono<HttpEnv> {
  const routes = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });
  const admins = adminOnly(authenticate);

  const remove = createRoute({
    ...admin,
    method: 'delete',
    path: '/v1/admin/users/{id}',
    summary: 'Delete a user with all that is stored of it',
    description:
      'Every credential is refused at once, and what runs is canceled. Requests, images, uploads, ' +
      'keys, deliveries, usage and limits are then deleted in the background; what is on record of ' +
      'who did what stays. There is no way back, and until the end nothing changes the user. Asked for again, it answers how far it has come.',
    middleware: [admins],
    request: { params },
    responses: {
      202: {
        ...deletion('The deletion, which goes on'),
        headers: z.object({ Location: z.string() }),
      },
      200: deletion('The deletion, which is done'),
      ...problemResponses(401, 403, 404, 503),
    },
  });
  routes.openapi(remove, async (c) => {
    const { id } = c.req.valid('param');
    const begun = presentDeletion(await deletions.begin(id, c.get('by')));
    if (begun.status === 'completed') return c.json(begun, 200);
    c.header('Location', `${c.get('origin')}/v1/admin/users/${id}/deletion`);
    return c.json(begun, 202);
  });

  const get = createRoute({
    ...admin,
    method: 'get',
    path: '/v1/admin/users/{id}/deletion',
    summary: 'How far the deletion of a user has come',
    description:
      'Here for good, also once the user is gone. What was under way when it began may still ' +
      'arrive: it is looked for again a minute and a quarter of an hour after the end.',
    middleware: [admins],
    request: { params },
    responses: { 200: deletion('The deletion'), ...problemResponses(401, 403, 404, 503) },
  });
  routes.openapi(get, async (c) => {
    return c.json(presentDeletion(await deletions.get(c.req.valid('param').id)), 200);
  });

  return routes;
}
