/** Submitting generations, and the models there are. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Authenticate } from '../accounts/authenticate';
import { type HttpEnv, jsonBody, preferredWaitMs, validationHook } from '../platform/http';
import type { Json } from '../platform/json';
import { apiKeySecurity, problemResponses } from '../platform/openapi';
import { answerSubmitted } from '../requests/answers';
import { readIdempotencyKey } from '../requests/idempotency';
import type { RequestService } from '../requests/service';
import { type PresentRequest, requestViewSchema } from '../requests/view';
import type { Catalog, Model, Target } from './catalog';
import { type GenerationService, submissionSchema } from './service';

const json = <T extends z.ZodType>(schema: T) => ({ 'application/json': { schema } });

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
    'submission leaves none.',
  middleware: [jsonBody()],
  request: {
    headers: z.object({
      'idempotency-key': z.string().optional().openapi({ example: '8e03978e-40d5-43dd' }),
      prefer: z.string().optional().openapi({ example: 'wait=30' }),
    }),
    body: { required: true, content: json(submissionSchema.openapi('Submission')) },
  },
  responses: {
    202: { description: 'Accepted', content: json(requestViewSchema) },
    200: { description: 'Ended while waiting, or a replay', content: json(requestViewSchema) },
    ...problemResponses(400, 401, 403, 410, 413, 415, 422, 429, 431),
  },
});

const targetSchema = z.object({
  provider: z.string(),
  model: z.string(),
  available: z.boolean(),
  unavailable_reason: z.string().nullable(),
  price: z.object({ per_image_usd: z.number() }),
});

const modelSchema = z
  .object({
    id: z.string(),
    available: z.boolean(),
    unavailable_reason: z.string().nullable(),
    capabilities: z.object({
      input_image: z.boolean(),
      mask: z.boolean(),
      output_formats: z.array(z.string()),
    }),
    limits: z.object({
      max_images: z.int(),
      sizes: z.array(z.string()).nullable().describe('null: any size from 64 to 2048'),
    }),
    targets: z.array(targetSchema),
  })
  .openapi('Model');

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

export function createGenerationRoutes(deps: {
  readonly authenticate: Authenticate;
  readonly generation: GenerationService;
  readonly requests: Pick<RequestService, 'awaitEnd'>;
  readonly catalog: Catalog;
  readonly present: PresentRequest;
}): OpenAPIHono<HttpEnv> {
  const app = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });

  app.openapi(submitRoute, async (c) => {
    const body = c.req.valid('json');
    // Inputs are stored before admission: not for a key that is not known to be active.
    const hasInputs = body.image !== undefined || body.mask !== undefined;
    const credential = hasInputs
      ? await deps.authenticate.principal(c.req.raw.headers, 'requests:write')
      : deps.authenticate.credential(c.req.raw.headers);
    const ms = preferredWaitMs(c);
    const submitted = await deps.generation.submit({
      credential,
      body,
      rawBody: (await c.req.json()) as Json,
      context: {
        idempotencyKey: readIdempotencyKey(c.req.header('idempotency-key')),
        origin: c.get('origin'),
        correlationId: c.get('correlationId'),
        traceparent: c.get('traceparent'),
      },
    });
    const answer = await deps.requests.awaitEnd({ credential, submitted, ms: ms ?? 0 });
    return answerSubmitted(c, answer, deps.present);
  });

  app.openapi(modelsRoute, async (c) => {
    await deps.authenticate.principal(c.req.raw.headers, 'requests:read');
    const items = deps.catalog.models.map((model) => presentModel(model, deps.catalog));
    return c.json({ items, next_cursor: null }, 200);
  });

  return app;
}

function presentModel(model: Model, catalog: Catalog): z.output<typeof modelSchema> {
  const targets = model.targets.map((target) => presentTarget(target, catalog));
  const available = targets.some((target) => target.available);
  const limits = model.targets.map((target) => target.limits);
  const anySize = limits.some((limit) => limit.sizes === null);
  return {
    id: model.id,
    available,
    unavailable_reason: available
      ? null
      : targets.map((t) => `${t.provider}: ${t.unavailable_reason}`).join('; '),
    capabilities: {
      input_image: limits.some((limit) => limit.inputImage),
      mask: limits.some((limit) => limit.mask),
      output_formats: [...new Set(limits.flatMap((limit) => limit.formats))],
    },
    limits: {
      max_images: Math.max(...limits.map((limit) => limit.maxImages)),
      sizes: anySize ? null : [...new Set(limits.flatMap((limit) => limit.sizes ?? []))],
    },
    targets,
  };
}

function presentTarget(target: Target, catalog: Catalog): z.output<typeof targetSchema> {
  const reason = catalog.unavailable(target);
  return {
    provider: target.provider,
    model: target.model,
    available: reason === null,
    unavailable_reason: reason,
    price: { per_image_usd: target.priceMicros / 1e6 },
  };
}
