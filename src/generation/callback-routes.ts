/** Where providers tell that a job has ended. The signature in the URL is the credential. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
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
  readonly nudge: (userId: UserId, input: { request: RequestId; attempt: number }) => Promise<void>;
}): OpenAPIHono<HttpEnv> {
  const app = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });

  app.openapi(callbackRoute, async (c) => {
    const { user, request, attempt } = c.req.valid('param');
    const { signature = '' } = c.req.valid('query');
    await c.req.raw.body?.cancel();
    const unknown = () => new AppError('not_found', 'There is nothing at this path.');
    if (!isId('usr', user) || !isId('req', request) || !/^[1-9]\d?$/.test(attempt)) throw unknown();
    const place = { userId: user, requestId: request, attempt: Number(attempt) };
    if (!isGenuine({ ...place, signature, secret: deps.linkSecret })) throw unknown();
    await deps.nudge(user, { request, attempt: place.attempt });
    return c.body(null, 204);
  });

  return app;
}
