/** What was sent to an endpoint, and sending it again. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { MiddlewareHandler } from 'hono';
import type { Authenticate } from '../../accounts/authenticate';
import { encodeCursor } from '../../platform/cursor';
import { type HttpEnv, jsonBody, validationHook } from '../../platform/http';
import type { DeliveryId } from '../../platform/ids';
import { apiKeySecurity, bodyOf, jsonAnswer, problemResponses } from '../../platform/openapi';
import {
  logPageSchema,
  logQuerySchema,
  presentDelivery,
  readPosition,
  replayedSchema,
  replaySchema,
} from './contract';
import { type DeliveryLog, OWN_URLS } from './service';

const common = { tags: ['Webhooks'], security: apiKeySecurity };
const params = z.object({
  id: z.string().openapi({
    example: 'whk_…',
    description: `An endpoint, or \`${OWN_URLS}\`: the URLs that requests name themselves`,
  }),
});

export function createDeliveryLogRoutes(deps: {
  readonly authenticate: Authenticate;
  readonly log: DeliveryLog;
}): OpenAPIHono<HttpEnv> {
  const { authenticate, log } = deps;
  const routes = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });
  // Who asks comes before what is asked: a stranger learns nothing of how bodies are checked.
  const clients: MiddlewareHandler<HttpEnv> = async (c, next) => {
    await authenticate.credential(c.get('asking'));
    await next();
  };

  const page = createRoute({
    ...common,
    method: 'get',
    path: '/v1/webhooks/{id}/deliveries',
    summary: 'The delivery log of an endpoint, newest first',
    description:
      'Every delivery with its attempts: status, duration and the first 1 kB of the answer. Kept for ' +
      '90 days after its end. With a filter a page may have fewer items than there are still.',
    middleware: [clients],
    request: { params, query: logQuerySchema },
    responses: {
      200: jsonAnswer(logPageSchema, 'A page'),
      ...problemResponses(401, 404, 422, 503),
    },
  });
  routes.openapi(page, async (c) => {
    const credential = await authenticate.credential(c.get('asking'));
    const { limit, cursor, status = null, type = null } = c.req.valid('query');
    const query = { limit, before: readPosition(cursor), status, type };
    const { items, next } = await log.page({ credential, id: c.req.valid('param').id, query });
    return c.json({ items: items.map(presentDelivery), next_cursor: cursorOf(next) }, 200);
  });

  const replay = createRoute({
    ...common,
    method: 'post',
    path: '/v1/webhooks/{id}/replay',
    summary: 'Send deliveries again, with their ids and bodies',
    description:
      'One by its id, whatever came of it, or those of a time range that never arrived (failed, or ' +
      'skipped). The schedule begins anew, to where the endpoint is now. One that waits for its next ' +
      'try is tried at once. A call takes 1,000 of a range; while `next_cursor` is not null there ' +
      'are more.',
    middleware: [clients, jsonBody()],
    request: { params, body: bodyOf(replaySchema) },
    responses: {
      200: jsonAnswer(replayedSchema, 'How many'),
      ...problemResponses(400, 401, 404, 409, 413, 415, 422, 503),
    },
  });
  routes.openapi(replay, async (c) => {
    const credential = await authenticate.credential(c.get('asking'));
    const { id } = c.req.valid('param');
    const body = c.req.valid('json');
    if (body.deliveryId !== undefined) {
      const { replayed } = await log.replayOne({ credential, id, deliveryId: body.deliveryId });
      return c.json({ replayed, next_cursor: null }, 200);
    }
    const range = { ...body.range, after: readPosition(body.cursor) };
    const { replayed, next } = await log.replayRange({ credential, id, range });
    return c.json({ replayed, next_cursor: cursorOf(next) }, 200);
  });

  return routes;
}

const cursorOf = (next: DeliveryId | null) => (next === null ? null : encodeCursor([next]));
