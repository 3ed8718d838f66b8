/** `/v1/me`. */
import { createRoute, OpenAPIHono } from '@hono/zod-openapi';
import { type HttpEnv, validationHook } from '../../platform/http';
import { apiKeySecurity, jsonAnswer, problemResponses } from '../../platform/openapi';
import type { Authenticate } from '../authenticate';
import { meSchema, presentMe } from './contract';
import type { MeService } from './service';

interface Deps {
  readonly authenticate: Authenticate;
  readonly account: MeService;
}

export function createMeRoutes({ authenticate, account }: Deps): OpenAPIHono<HttpEnv> {
  const routes = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });
  const me = createRoute({
    tags: ['Account'],
    security: apiKeySecurity,
    method: 'get',
    path: '/v1/me',
    summary: 'Whose key this is, its limits and their use',
    responses: {
      200: jsonAnswer(meSchema, 'The account'),
      ...problemResponses(401, 403),
    },
  });
  routes.openapi(me, async (c) => {
    const credential = await authenticate.credential(c.get('asking'));
    return c.json(presentMe(await account.me(credential)), 200);
  });
  return routes;
}
