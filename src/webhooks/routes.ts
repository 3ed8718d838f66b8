/** What receivers of webhooks need: the secret that events are signed with. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Authenticate } from '../accounts/authenticate';
import type { Credential } from '../accounts/types';
import { type HttpEnv, validationHook } from '../platform/http';
import { apiKeySecurity, problemResponses } from '../platform/openapi';
import { deliverySchema, presentDelivery } from './log/contract';
import type { WebhookService } from './service';

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

const deliveriesRoute = createRoute({
  method: 'get',
  path: '/v1/requests/{id}/deliveries',
  tags: ['Webhooks'],
  security: apiKeySecurity,
  summary: 'The webhook deliveries of a request, with every attempt',
  request: { params: z.object({ id: z.string().openapi({ example: 'req_0…' }) }) },
  responses: {
    200: {
      description: 'All of them',
      content: {
        'application/json': {
          schema: z.object({ items: z.array(deliverySchema), next_cursor: z.null() }),
        },
      },
    },
    ...problemResponses(401, 403, 404, 503),
  },
});

export function createWebhookRoutes(deps: {
  readonly authenticate: Authenticate;
  readonly defaultSecret: (credential: Credential) => Promise<string>;
  readonly deliveries: WebhookService['deliveries'];
}): OpenAPIHono<HttpEnv> {
  const app = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });
  app.openapi(secretRoute, async (c) => {
    const credential = await deps.authenticate.credential(c.get('asking'));
    const secret = await deps.defaultSecret(credential);
    c.header('Cache-Control', 'no-store');
    return c.json({ secret }, 200);
  });
  app.openapi(deliveriesRoute, async (c) => {
    const credential = await deps.authenticate.credential(c.get('asking'));
    const { id } = c.req.valid('param');
    const items = (await deps.deliveries({ credential, id })).map(presentDelivery);
    return c.json({ items, next_cursor: null }, 200);
  });

  return app;
}
