/** Submitting generations, and the models there are. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Authenticate } from '../accounts/authenticate';
import { type HttpEnv, jsonBody, preferredWaitMs, validationHook } from '../platform/http';
import type { JsonObject } from '../platform/json';
import { apiKeySecurity, headersOf, json, problemResponses } from '../platform/openapi';
import { answerSubmitted, describeWait, requestHeaders } from '../requests/answers';
import { readIdempotencyKey } from '../requests/idempotency';
import type { RequestService } from '../requests/service';
import { type PresentRequest, requestViewSchema } from '../requests/view';
import type { Catalog } from './catalog';
import { modelSchema, presentModel } from './models-view';
import { presentProspect, prospectSchema } from './prospect';
import type { GenerationService } from './service';
import { submissionSchema } from './submission';
import { contextOf, credentialFor } from './submitting';

const submitRoute = createRoute({
  method: 'post',
  path: '/v1/requests',
  tags: ['Requests'],
  security: apiKeySecurity,
  summary: 'Submit a generation',
  description:
    'Answers at once with an id; `Prefer: wait=n` holds the line for up to 60 s. An ' +
    '`Idempotency-Key` makes the call safe to repeat: the same key with the same body answers ' +
    'with the same request (`Idempotent-Replayed: true`), with another body 422, and 410 once the ' +
    'request was deleted. A record lives until 24 hours after its request has ended; a refused ' +
    'submission leaves none. With `dry_run` nothing is accepted: the answer is the plan, or what ' +
    'a submission would be refused for by what it says and by the catalogue. Limits, quotas and ' +
    'budgets are not looked at: `GET /v1/me` has them.',
  middleware: [jsonBody()],
  request: {
    headers: z.object({
      'idempotency-key': z.string().optional().openapi({ example: '8e03978e-40d5-43dd' }),
      prefer: z.string().optional().openapi({ example: 'wait=30' }),
    }),
    query: z.object({
      dry_run: z.enum(['true', 'false']).optional().describe('As `dry_run` in the body'),
    }),
    body: { required: true, content: json(submissionSchema.openapi('Submission')) },
  },
  responses: {
    202: {
      description: 'Accepted',
      headers: headersOf({ ...requestHeaders, Location: 'Where the request is' }),
      content: json(requestViewSchema),
    },
    200: {
      description: 'Ended while waiting, a replay, or the plan of a dry run',
      headers: headersOf({
        ...requestHeaders,
        Location: 'Where the request is',
        'Idempotent-Replayed': '`true` for a replay',
      }),
      content: json(z.union([requestViewSchema, prospectSchema])),
    },
    ...problemResponses(400, 401, 403, 410, 413, 415, 422, 429, 431, 503),
  },
});

const modelsRoute = createRoute({
  method: 'get',
  path: '/v1/models',
  tags: ['Models'],
  security: apiKeySecurity,
  summary: 'All models, with why one is unavailable',
  responses: {
    200: {
      description: 'The whole catalogue',
      content: json(z.object({ items: z.array(modelSchema), next_cursor: z.null() })),
    },
    ...problemResponses(401, 403),
  },
});

export interface GenerationRouteDeps {
  readonly authenticate: Authenticate;
  readonly generation: GenerationService;
  readonly requests: Pick<RequestService, 'awaitEnd'>;
  readonly catalog: Catalog;
  readonly present: PresentRequest;
}

export function createGenerationRoutes(deps: GenerationRouteDeps): OpenAPIHono<HttpEnv> {
  const app = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });

  app.openapi(submitRoute, async (c) => {
    const body = c.req.valid('json');
    const rawBody = (await c.req.json()) as JsonObject;
    const isDry = body.dry_run || c.req.valid('query').dry_run === 'true';
    const credential = isDry
      ? await deps.authenticate.principal(c.get('asking'), 'requests:write')
      : await credentialFor(deps.authenticate, c, [body]);
    const idempotencyKey = readIdempotencyKey(c.req.header('idempotency-key'));
    const input = { credential, body, rawBody, context: { ...contextOf(c), idempotencyKey } };
    if (isDry) return c.json(presentProspect(await deps.generation.foresee(input)), 200);
    const ms = preferredWaitMs(c);
    const submitted = await deps.generation.submit(input);
    const holding = { ms: ms ?? 0, hungUp: c.get('hungUp') };
    const answer = await deps.requests.awaitEnd({ credential, submitted, ...holding });
    describeWait(c, ms);
    return answerSubmitted(c, answer, deps.present);
  });

  app.openapi(modelsRoute, async (c) => {
    await deps.authenticate.principal(c.get('asking'), 'requests:read');
    const items = deps.catalog.models.map((model) => presentModel(model, deps.catalog));
    return c.json({ items, next_cursor: null }, 200);
  });

  return app;
}
