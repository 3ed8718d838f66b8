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
  })
  .openapi('Problem');

const descriptions = {
  400: 'Malformed JSON or header',
  401: 'No valid key',
  403: 'The key lacks the scope',
  404: 'Not found, or not yours',
  409: 'Conflict',
  410: 'Deleted',
  413: 'Body too large',
  415: 'Body of another type',
  416: 'No such range',
  422: 'A field is not valid',
  429: 'A limit is reached',
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
  const entries = statuses.map((status): [Status, ProblemEntry] => [
    status,
    {
      description: descriptions[status],
      content: { 'application/problem+json': { schema: problemSchema } },
    },
  ]);
  // Object.fromEntries forgets the keys; these are exactly the statuses that came in.
  return Object.fromEntries(entries) as Record<Status, ProblemEntry>;
}

/** For the document's `securitySchemes`; routes name one by `apiKeySecurity` or `adminSecurity`. */
export const securitySchemes = {
  ApiKey: { type: 'http', scheme: 'bearer', description: 'An API key, `fm_…`.' },
  AdminToken: { type: 'http', scheme: 'bearer', description: "The operator's ADMIN_TOKEN." },
} as const;
export const apiKeySecurity = [{ ApiKey: [] }];
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
