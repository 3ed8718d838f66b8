/** Where providers tell that a job has ended. The signature in the URL is the credential. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Whence } from '../platform/actor';
import { AppError } from '../platform/errors';
import { type HttpEnv, validationHook } from '../platform/http';
import { isId, type RequestId, type UserId } from '../platform/ids';
import { problemResponses } from '../platform/openapi';
import { isGenuine } from './callbacks';

const callbackRoute = createRoute({
  method: 'post',
  path: '/v1/callbacks/{user}/{request}/{attempt}',
  tags: ['Providers'],
  security: [],
  summary: 'For providers: the job of an attempt has ended',
  description:
    'Foreman gives this address to providers that call back. The body is not read: the job itself ' +
    'is asked for at once. A wrong signature is answered like an unknown path.',
  request: {
    params: z.object({ user: z.string(), request: z.string(), attempt: z.string() }),
    query: z.object({ signature: z.string().optional() }),
  },
  responses: {
    204: { description: 'Heard' },
    ...problemResponses(404, 429, 503),
  },
});

export function createCallbackRoutes(deps: {
  readonly linkSecret: string;
  /** @throws AppError `too_many_from_address` when this address has guessed too often. */
  readonly countForged: (from: Whence) => Promise<void>;
  readonly nudge: (userId: UserId, input: { request: RequestId; attempt: number }) => Promise<void>;
}): OpenAPIHono<HttpEnv> {
  const app = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });

  app.openapi(callbackRoute, async (c) => {
    const { signature = '' } = c.req.valid('query');
    await c.req.raw.body?.cancel();
    const place = placeOf(c.req.valid('param'));
    if (!place || !isGenuine({ ...place, signature, secret: deps.linkSecret })) {
      // Only now: one provider's address calls back for many users.
      await deps.countForged(c.get('asking').from);
      throw new AppError('not_found', 'There is nothing at this path.');
    }
    await deps.nudge(place.userId, { request: place.requestId, attempt: place.attempt });
    return c.body(null, 204);
  });

  return app;
}

function placeOf(path: { user: string; request: string; attempt: string }) {
  const { user, request, attempt } = path;
  if (!isId('usr', user) || !isId('req', request) || !/^[1-9]\d?$/.test(attempt)) return null;
  return { userId: user, requestId: request, attempt: Number(attempt) };
}
