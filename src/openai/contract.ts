/** The routes as the OpenAPI document has them. Bodies are checked by the table of parameters. */
import { createRoute, z } from '@hono/zod-openapi';
import { jsonBody } from '../platform/http';
import { apiKeySecurity, headersOf, json } from '../platform/openapi';
import { MAX_FORM_BYTES } from './form';
import { modelListSchema, modelSchema } from './models-view';
import { type Endpoint, parametersOf } from './parameters';

const tags = ['OpenAI'];

const errorSchema = z
  .object({
    error: z.object({
      message: z.string(),
      type: z.string().openapi({ example: 'invalid_request_error' }),
      param: z.string().nullable(),
      code: z.string().nullable(),
      moderation_details: z
        .object({ moderation_stage: z.string().nullable(), categories: z.array(z.string()) })
        .optional(),
    }),
  })
  .openapi('OpenAiError');

const imagesSchema = z
  .object({
    created: z.int(),
    data: z.array(z.object({ url: z.url().optional(), b64_json: z.string().optional() })),
    output_format: z.string(),
    size: z.string(),
    quality: z.string().optional(),
    background: z.string().optional(),
    foreman: z.object({
      request_id: z.string(),
      model: z.string(),
      provider: z.string().nullable(),
      cost_usd: z.number(),
      warnings: z.array(z.string()),
    }),
  })
  .openapi('OpenAiImages');

const descriptions = {
  400: 'A parameter is not valid, or the content was refused (`moderation_blocked`)',
  401: 'No valid key or token',
  403: 'Not allowed to this key or account',
  404: 'No such model, or nothing at this path',
  413: `Body too large: JSON may have 1 MiB, and a form ${MAX_FORM_BYTES} bytes`,
  415: 'Body of another type',
  429: 'A limit is reached (`rate_limit_exceeded`), or the budget (`insufficient_quota`)',
  502: 'The providers did not deliver',
  503: 'Temporarily unavailable',
  504: 'Not ended in time',
} as const;

type ErrorStatus = keyof typeof descriptions;

interface ErrorEntry {
  description: string;
  content: { 'application/json': { schema: typeof errorSchema } };
}

function errors<Status extends ErrorStatus>(
  ...statuses: readonly Status[]
): Record<Status, ErrorEntry> {
  const entries = statuses.map((status): [Status, ErrorEntry] => [
    status,
    { description: descriptions[status], content: json(errorSchema) },
  ]);
  // Object.fromEntries forgets the keys; these are exactly the statuses that came in.
  return Object.fromEntries(entries) as Record<Status, ErrorEntry>;
}

type RequestBody = NonNullable<Parameters<typeof createRoute>[0]['requestBody']>;

/** What the table says of an endpoint's parameters. */
function bodyOf(endpoint: Endpoint, mediaType: string): RequestBody {
  const rows = parametersOf(endpoint);
  const taken = rows.filter(([, { takes }]) => takes.type !== 'never');
  const schema = {
    type: 'object',
    required: rows.filter(([, { isRequired }]) => isRequired).map(([name]) => name),
    properties: Object.fromEntries(
      taken.map(([name, { takes }]) => {
        const { $schema: _, ...described } = z.toJSONSchema(takes, { unrepresentable: 'any' });
        return [name, described];
      }),
    ),
  };
  // JSON Schema, as zod writes it, is what OpenAPI 3.1 has.
  return { required: true, content: { [mediaType]: { schema } } } as RequestBody;
}

const imagesAnswers = {
  200: {
    description: 'The images, once they are made; with `stream`, events with OpenAI’s names',
    headers: headersOf({ 'X-Foreman-Request-Id': 'Of the request in `/v1/requests`' }),
    content: { ...json(imagesSchema), 'text/event-stream': { schema: z.string() } },
  },
  ...errors(400, 401, 403, 404, 413, 415, 429, 502, 503, 504),
};

const heldLine =
  'As OpenAI’s call of the same path. The line is held until the images are there, for ten minutes ' +
  'at most. See docs/openai.md for each parameter.';

export const generationsRoute = createRoute({
  method: 'post',
  path: '/openai/v1/images/generations',
  tags,
  security: apiKeySecurity,
  summary: 'Make images from a prompt, for clients of OpenAI',
  description: heldLine,
  middleware: [jsonBody()],
  requestBody: bodyOf('generations', 'application/json'),
  responses: imagesAnswers,
});

export const editsRoute = createRoute({
  method: 'post',
  path: '/openai/v1/images/edits',
  tags,
  security: apiKeySecurity,
  summary: 'Make an image of another one, for clients of OpenAI',
  description: `${heldLine} One image, and a mask if there is one, as multipart/form-data.`,
  requestBody: bodyOf('edits', 'multipart/form-data'),
  responses: imagesAnswers,
});

export const variationsRoute = createRoute({
  method: 'post',
  path: '/openai/v1/images/variations',
  tags,
  security: apiKeySecurity,
  summary: 'Refused: OpenAI has retired variations',
  responses: {
    // Never given: a document without a success is none that tools read.
    200: { description: 'Not to be had', content: json(imagesSchema) },
    ...errors(400, 401, 403, 429),
  },
});

export const modelsRoute = createRoute({
  method: 'get',
  path: '/openai/v1/models',
  tags,
  security: apiKeySecurity,
  summary: 'The models that are available now, for clients of OpenAI',
  responses: {
    200: { description: 'All of them', content: json(modelListSchema) },
    ...errors(401, 403, 429, 503),
  },
});

export const modelRoute = createRoute({
  method: 'get',
  path: '/openai/v1/models/{model}',
  tags,
  security: apiKeySecurity,
  summary: 'One of the models that are available now',
  request: { params: z.object({ model: z.string().openapi({ example: 'auto' }) }) },
  responses: {
    200: { description: 'The model', content: json(modelSchema) },
    ...errors(401, 403, 404, 429, 503),
  },
});
