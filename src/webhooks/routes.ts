/** What receivers of webhooks need: the secret that events are signed with. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Authenticate } from '../accounts/authenticate';
import type { Credential } from '../accounts/types';
import { type HttpEnv, validationHook } from '../platform/http';
import { apiKeySecurity, problemResponses } from '../platform/openapi';
import { iso } from '../requests/view';
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

const deliverySchema = z
  .object({
    id: z.string(),
    type: z.string(),
    request_id: z.string().nullable(),
    endpoint_id: z.string().nullable().describe('null: the URL that the request itself names'),
    url: z.string(),
    status: z.enum(['pending', 'delivered', 'failed', 'skipped']),
    attempts: z.array(
      z.object({
        at: z.iso.datetime(),
        status: z.int().nullable(),
        duration_ms: z.int(),
        response: z.string().nullable().describe('The first 1 kB of the answer'),
        error: z.string().nullable(),
      }),
    ),
    next_attempt_at: z.iso.datetime().nullable(),
    created_at: z.iso.datetime(),
  })
  .openapi('Delivery');

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
    const items = (await deps.deliveries({ credential, id })).map((delivery) => ({
      id: delivery.id,
      type: delivery.type,
      request_id: delivery.requestId,
      endpoint_id: delivery.endpointId,
      url: delivery.url,
      status: delivery.status,
      attempts: delivery.attempts.map((attempt) => ({
        at: iso(attempt.at),
        status: attempt.status,
        duration_ms: attempt.durationMs,
        response: attempt.response,
        error: attempt.error,
      })),
      next_attempt_at: delivery.status === 'pending' ? iso(delivery.nextAttemptAt) : null,
      created_at: iso(delivery.createdAt),
    }));
    return c.json({ items, next_cursor: null }, 200);
  });

  return app;
}
