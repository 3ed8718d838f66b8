/** What the route contracts of all features share in the OpenAPI document. Knows no feature. */
import { z } from '@hono/zod-openapi';

/** RFC 9457. `code` is the stable part: clients branch on it, not on the text. */
export const problemSchema = z
  .object({
    type: z.string().openapi({ example: 'about:blank' }),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string().openapi({ example: 'invalid_request' }),
    correlation_id: z.string(),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
    limit: z.string().optional().describe('The limit that refuses, as in `Limits`'),
    allowed: z
      .union([z.number(), z.array(z.string())])
      .optional()
      .describe('What it allows'),
    used: z.union([z.number(), z.string()]).optional().describe('What is used, or asked for'),
    frees_at: z.iso.datetime().nullable().optional().describe('null when waiting does not help'),
    'violated-policies': z.array(z.string()).optional().describe('Names in `RateLimit-Policy`'),
    user_id: z.string().optional().describe('Who has what was asked for'),
    replaced_by: z.string().optional().describe('The key that is in the place of this one'),
    probe: z
      .object({
        status: z.int().nullable(),
        duration_ms: z.int(),
        response: z.string().nullable(),
        error: z.string().nullable(),
      })
      .optional()
      .describe('What came of trying'),
  })
  .openapi('Problem');

const descriptions = {
  400: 'Malformed JSON or header',
  401: 'No valid key or token',
  403: 'The key or token lacks the scope',
  404: 'Not found, or not yours',
  409: 'Conflict',
  410: 'Deleted',
  413: 'Body too large: JSON may have 1 MiB, and 64 KiB under /v1/admin',
  415: 'Body of another type',
  416: 'No such range',
  422: 'A field is not valid',
  426: 'To be asked for as a WebSocket',
  429: 'A limit is reached, or too much came from this address; see `Retry-After`',
  431: 'A header is too long',
  503: 'Temporarily unavailable',
} as const;
type ProblemStatus = keyof typeof descriptions;

interface ProblemEntry {
  description: string;
  content: { 'application/problem+json': { schema: typeof problemSchema } };
}

/** Entries for a route's `responses`: `{ 200: …, ...problemResponses(401, 404) }`. */
export function problemResponses<Status extends ProblemStatus>(
  ...statuses: readonly Status[]
): Record<Status, ProblemEntry> {
  // Whoever must say who they are may lack the scope, or may have failed too often.
  const all = statuses.some((status) => status === 401) ? [...statuses, 403, 429] : statuses;
  const entries = (all as readonly Status[]).map((status): [Status, ProblemEntry] => [
    status,
    {
      description: descriptions[status],
      content: { 'application/problem+json': { schema: problemSchema } },
    },
  ]);
  // Object.fromEntries forgets the keys; these are exactly the statuses that came in.
  return Object.fromEntries(entries) as Record<Status, ProblemEntry>;
}

/** The `content` of a body or an answer. */
export const json = <Schema extends z.ZodType>(schema: Schema) => ({
  'application/json': { schema },
});

export const jsonAnswer = <Schema extends z.ZodType>(schema: Schema, description: string) => ({
  description,
  content: json(schema),
});

/** For a response's `headers`: what each says. */
export const headersOf = (descriptions: Readonly<Record<string, string>>) =>
  Object.fromEntries(
    Object.entries(descriptions).map(([name, description]) => [
      name,
      { description, schema: { type: 'string' as const } },
    ]),
  );

/** What a route takes; that it is JSON, and how long it may be, is for the route's middleware. */
export const bodyOf = <Schema extends z.ZodType>(schema: Schema) => ({
  required: true,
  content: json(schema),
});

/** For the document's `securitySchemes`; routes name theirs by `apiKeySecurity` or `adminSecurity`. */
export const securitySchemes = {
  ApiKey: { type: 'http', scheme: 'bearer', description: 'An API key, `fm_…`.' },
  SignIn: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description:
      'A token of the OpenID Connect issuer that the operator trusts. Its claims `scope` or `scp` ' +
      'may narrow it to `requests:read` or `requests:write`.',
  },
  Access: {
    type: 'apiKey',
    in: 'header',
    name: 'Cf-Access-Jwt-Assertion',
    description: 'Put there by Cloudflare Access, where it stands before Foreman.',
  },
  Ticket: {
    type: 'apiKey',
    in: 'query',
    name: 'ticket',
    description:
      'Made by `POST /v1/tickets`, for browsers that watch: EventSource and WebSocket send no ' +
      'headers.',
  },
  AdminToken: {
    type: 'http',
    scheme: 'bearer',
    description: "The operator's ADMIN_TOKEN, or an API key with the scope admin.",
  },
} as const;
/** Any one of them will do. */
export const apiKeySecurity: Record<string, string[]>[] = [
  { ApiKey: [] },
  { SignIn: [] },
  { Access: [] },
];
/** Where a browser may watch. */
export const watchSecurity = [...apiKeySecurity, { Ticket: [] }];
export const adminSecurity = [{ AdminToken: [] }];

/** The query fields that every paged list takes. */
export const pageFields = {
  limit: z
    .string()
    .regex(/^\d{1,3}$/, 'must be a whole number from 1 to 100')
    .transform(Number)
    .refine((value) => value >= 1 && value <= 100, 'must be a whole number from 1 to 100')
    .default(10)
    .openapi({ type: 'integer', minimum: 1, maximum: 100, default: 10 }),
  cursor: z
    .string()
    .max(1_000)
    .optional()
    .openapi({ description: '`next_cursor` of the page before' }),
};

export const nextCursor = z.string().nullable().openapi({ description: 'null on the last page' });
