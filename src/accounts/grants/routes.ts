/** `/v1/me/grants`. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { type HttpEnv, validationHook } from '../../platform/http';
import { apiKeySecurity, jsonAnswer, problemResponses } from '../../platform/openapi';
import type { Authenticate } from '../authenticate';
import { iso } from '../contract';
import type { GrantService } from './service';
import { type AppGrant, grantScopes } from './types';

interface Deps {
  readonly authenticate: Authenticate;
  readonly grants: GrantService;
}

const grantSchema = z
  .object({
    id: z.string(),
    client: z.object({
      id: z.string().openapi({ description: 'A URL, or what the app got when it registered' }),
      name: z.string().openapi({ description: 'As the app calls itself' }),
    }),
    scopes: z.array(z.enum(grantScopes)),
    key_id: z.string().openapi({ description: 'The key it was agreed with, and ends with' }),
    created_at: z.iso.datetime(),
    expires_at: z.iso.datetime(),
  })
  .openapi('AppGrant');
const grantListSchema = z.object({ items: z.array(grantSchema) }).openapi('AppGrantList');

const account = { tags: ['Account'], security: apiKeySecurity };

export function createGrantRoutes({ authenticate, grants }: Deps): OpenAPIHono<HttpEnv> {
  const routes = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });

  const list = createRoute({
    ...account,
    method: 'get',
    path: '/v1/me/grants',
    summary: 'The apps that you have let in, newest first',
    description: 'Let in by OAuth, for `/mcp`. All in one answer.',
    responses: { 200: jsonAnswer(grantListSchema, 'All of them'), ...problemResponses(401, 503) },
  });
  routes.openapi(list, async (c) => {
    const credential = await authenticate.credential(c.get('asking'));
    return c.json({ items: (await grants.list(credential)).map(present) }, 200);
  });

  const end = createRoute({
    ...account,
    method: 'delete',
    path: '/v1/me/grants/{id}',
    summary: 'Let an app in no longer',
    description: 'Its tokens open nothing from then on.',
    // A plain string: a malformed id is an unknown one, which the service answers with not_found.
    request: { params: z.object({ id: z.string() }) },
    responses: { 204: { description: 'Ended' }, ...problemResponses(401, 404, 503) },
  });
  routes.openapi(end, async (c) => {
    const credential = await authenticate.credential(c.get('asking'));
    await grants.end({ credential, id: c.req.valid('param').id });
    return c.body(null, 204);
  });

  return routes;
}

function present(grant: AppGrant): z.output<typeof grantSchema> {
  const { id, clientId, clientName, scopes, keyId, createdAt, expiresAt } = grant;
  return {
    id,
    client: { id: clientId, name: clientName },
    scopes: [...scopes],
    key_id: keyId,
    created_at: iso(createdAt),
    expires_at: iso(expiresAt),
  };
}
