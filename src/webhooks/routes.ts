/** What receivers of webhooks need: the secret that events are signed with. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Authenticate } from '../accounts/authenticate';
import { unauthorized } from '../accounts/errors';
import type { Credential } from '../accounts/types';
import { type HttpEnv, validationHook } from '../platform/http';
import { apiKeySecurity, problemResponses } from '../platform/openapi';

const secretRoute = createRoute({
  method: 'get',
  path: '/v1/webhooks/default-secret',
  tags: ['Webhooks'],
  security: apiKeySecurity,
  summary: 'The secret that signs events sent to a request’s `webhook_url`',
  responses: {
    200: {
      description: 'Standard Webhooks secret',
      content: {
        'application/json': {
          schema: z.object({ secret: z.string().openapi({ example: 'whsec_…' }) }),
        },
      },
    },
    ...problemResponses(401, 403),
  },
});

export function createWebhookRoutes(deps: {
  readonly authenticate: Authenticate;
  readonly defaultSecret: (credential: Credential) => Promise<string | null>;
}): OpenAPIHono<HttpEnv> {
  const app = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });
  app.openapi(secretRoute, async (c) => {
    const credential = await deps.authenticate.principal(c.req.raw.headers, 'requests:write');
    const secret = await deps.defaultSecret(credential);
    if (secret === null) throw unauthorized();
    c.header('Cache-Control', 'no-store');
    return c.json({ secret }, 200);
  });
  return app;
}
