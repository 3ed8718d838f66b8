/** The operator's `/v1/admin/dead-letters`. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { MiddlewareHandler } from 'hono';
import { adminOnly } from '../accounts/admin-only';
import type { Authenticate } from '../accounts/authenticate';
import { type HttpEnv, validationHook } from '../platform/http';
import { adminSecurity, json, nextCursor, pageFields, problemResponses } from '../platform/openapi';
import type { DeadLetterService } from './dead-letter-service';
import { type DeadLetter, LETTER_LIFE_MS, letterTypes } from './dead-letters';
import { iso } from './view';

const path = '/v1/admin/dead-letters';
const request = { params: z.object({ id: z.string().openapi({ example: 'ded_0…' }) }) };
const time = z.iso.datetime();

const letterSchema = z
  .object({
    id: z.string(),
    type: z.enum(letterTypes).describe('`unknown`: no consumer can read the message'),
    queue: z.string().describe('Where the message was on its way to, as far as that is known'),
    reason: z.string(),
    message: z.unknown().describe('As it was found; one of ours holds ids only'),
    user_id: z.string().nullable(),
    request_id: z.string().nullable(),
    correlation_id: z.string().nullable(),
    created_at: time,
    replayed_at: time.nullable(),
    replayed_as: z
      .string()
      .nullable()
      .describe('The request that was made, as the one of the message had ended'),
    expires_at: time.describe('From then on it may be gone'),
  })
  .openapi('DeadLetter');

const letter = (description: string) => ({ description, content: json(letterSchema) });

export function createDeadLetterRoutes(deps: {
  readonly authenticate: Authenticate;
  readonly deadLetters: DeadLetterService;
}): OpenAPIHono<HttpEnv> {
  const routes = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });
  const admins = adminOnly(deps.authenticate);
  const admin = { tags: ['Admin'], security: adminSecurity, middleware: [admins] };
  addReadRoutes(routes, deps.deadLetters, admin);
  addWriteRoutes(routes, deps.deadLetters, admin);
  return routes;
}

interface Admin {
  tags: string[];
  security: typeof adminSecurity;
  middleware: MiddlewareHandler<HttpEnv>[];
}

function addReadRoutes(
  routes: OpenAPIHono<HttpEnv>,
  deadLetters: DeadLetterService,
  admin: Admin,
): void {
  const list = createRoute({
    ...admin,
    method: 'get',
    path,
    summary: 'List dead letters, newest first',
    request: {
      query: z.strictObject({
        ...pageFields,
        type: z.enum(letterTypes).optional(),
        user_id: z.string().max(100).optional(),
      }),
    },
    responses: {
      200: {
        description: 'A page of dead letters',
        content: json(
          z
            .object({ items: z.array(letterSchema), next_cursor: nextCursor })
            .openapi('DeadLetterPage'),
        ),
      },
      ...problemResponses(401, 422, 503),
    },
  });
  routes.openapi(list, async (c) => {
    const { limit, cursor, type = null, user_id: userId = null } = c.req.valid('query');
    const page = await deadLetters.list({ limit, cursor, type, userId });
    return c.json({ items: page.items.map(present), next_cursor: page.nextCursor }, 200);
  });

  const get = createRoute({
    ...admin,
    method: 'get',
    path: `${path}/{id}`,
    summary: 'Read a dead letter',
    request,
    responses: { 200: letter('The letter'), ...problemResponses(401, 404, 503) },
  });
  routes.openapi(get, async (c) => {
    return c.json(present(await deadLetters.get(c.req.valid('param').id)), 200);
  });
}

function addWriteRoutes(
  routes: OpenAPIHono<HttpEnv>,
  deadLetters: DeadLetterService,
  admin: Admin,
): void {
  const replay = createRoute({
    ...admin,
    method: 'post',
    path: `${path}/{id}/replay`,
    summary: 'Send a dead letter again',
    description:
      'The message goes to its own queue once more. A request that ended because its message was ' +
      'lost stays as it is: a new one is made for its owner, with `retry_of`, and `replayed_as` ' +
      'names it. Replaying twice does no more than once.',
    request,
    responses: { 200: letter('The letter, replayed'), ...problemResponses(401, 404, 409, 503) },
  });
  routes.openapi(replay, async (c) => {
    const { id } = c.req.valid('param');
    const replayed = await deadLetters.replay({ id, by: c.get('by') });
    return c.json(present(replayed), 200);
  });

  const remove = createRoute({
    ...admin,
    method: 'delete',
    path: `${path}/{id}`,
    summary: 'Remove a dead letter',
    request,
    responses: { 204: { description: 'Removed' }, ...problemResponses(401, 404, 503) },
  });
  routes.openapi(remove, async (c) => {
    const { id } = c.req.valid('param');
    await deadLetters.remove({ id, by: c.get('by') });
    return c.body(null, 204);
  });
}

function present(letter: DeadLetter): z.output<typeof letterSchema> {
  return {
    id: letter.id,
    type: letter.type,
    queue: letter.queue,
    reason: letter.reason,
    message: letter.message,
    user_id: letter.userId,
    request_id: letter.requestId,
    correlation_id: letter.correlationId,
    created_at: iso(letter.createdAt),
    replayed_at: letter.replayedAt === null ? null : iso(letter.replayedAt),
    replayed_as: letter.replayedAs,
    expires_at: iso(letter.createdAt + LETTER_LIFE_MS),
  };
}
