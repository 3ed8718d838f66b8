/** Many submissions in one call. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Authenticate } from '../accounts/authenticate';
import { isDenial } from '../accounts/errors';
import { type HttpEnv, invalidFields, jsonBody, validationHook } from '../platform/http';
import type { JsonObject } from '../platform/json';
import { apiKeySecurity, json, problemResponses, problemSchema } from '../platform/openapi';
import { readIdempotencyKey } from '../requests/idempotency';
import { isTerminal } from '../requests/types';
import { type PresentRequest, requestViewSchema } from '../requests/view';
import type { GenerationService, SubmitInput } from './service';
import { submissionSchema } from './submission';
import { contextOf, credentialFor } from './submitting';

const MAX_BATCH = 100;

/** What is meant to cost nothing must not be accepted by a route that knows no plans. */
const notDry = { error: 'is for POST /v1/requests' };
const itemSchema = submissionSchema.extend({ dry_run: z.literal(false, notDry).default(false) });

const batchRoute = createRoute({
  method: 'post',
  path: '/v1/requests/batch',
  tags: ['Requests'],
  security: apiKeySecurity,
  summary: 'Submit up to 100 generations, each answered on its own',
  description:
    'The answers come in the order of the items, each with the status it would have had alone. An ' +
    '`Idempotency-Key` holds for each item by its place in the list. The rate limit counts items; ' +
    '`RateLimit` is as the last of them left it.',
  middleware: [jsonBody()],
  request: {
    headers: z.object({ 'idempotency-key': z.string().optional() }),
    query: z.object({ dry_run: z.literal('false', notDry).optional() }),
    body: {
      required: true,
      content: json(
        z
          .strictObject({
            items: z
              .array(z.unknown())
              .min(1)
              .max(MAX_BATCH)
              .openapi({ type: 'array', items: { $ref: '#/components/schemas/Submission' } }),
          })
          .openapi('Batch'),
      ),
    },
  },
  responses: {
    200: {
      description: 'An answer for each item',
      content: json(
        z.object({
          items: z.array(
            z.union([
              z.object({ status: z.int(), request: requestViewSchema }),
              z.object({ status: z.int(), error: problemSchema }),
            ]),
          ),
        }),
      ),
    },
    ...problemResponses(400, 401, 403, 413, 415, 422, 431, 503),
  },
});

/** A fault as the problem document it would be answered with alone. */
export type DescribeFault = (
  fault: unknown,
  correlationId: string,
) => { readonly status: number; readonly error: z.output<typeof problemSchema> };

export function createBatchRoutes(deps: {
  readonly authenticate: Authenticate;
  readonly generation: Pick<GenerationService, 'submitAll'>;
  readonly present: PresentRequest;
  readonly describeFault: DescribeFault;
}): OpenAPIHono<HttpEnv> {
  const app = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });

  app.openapi(batchRoute, async (c) => {
    const { items } = c.req.valid('json');
    const parsed = items.map((item) => itemSchema.safeParse(item));
    const bodies = parsed.flatMap(({ data }) => (data ? [data] : []));
    const credential = await credentialFor(deps.authenticate, c, bodies);
    const key = readIdempotencyKey(c.req.header('idempotency-key'));
    const inputs = parsed.flatMap(({ data }, index): SubmitInput[] => {
      if (!data) return [];
      // A line break is no part of a client's own key, so no other call has this one.
      const idempotencyKey = key === null ? null : `${key}\n${index}`;
      const context = { ...contextOf(c), idempotencyKey };
      return [{ credential, body: data, rawBody: items[index] as JsonObject, context }];
    });
    const submitted = await deps.generation.submitAll(inputs);
    refuseDenied(submitted);
    const answers = submitted.values();
    const describe = (error: unknown) => deps.describeFault(error, c.get('correlationId'));
    return c.json(
      {
        items: parsed.map((item) => {
          if (!item.data) return describe(invalidFields(item.error.issues));
          const answer = answers.next().value;
          if (answer?.status !== 'fulfilled') return describe(answer?.reason);
          const { state, replayed } = answer.value;
          const status = replayed || isTerminal(state) ? 200 : 202;
          return { status, request: deps.present(state, answer.value) };
        }),
      },
      200,
    );
  });

  return app;
}

/** A key that opens nothing is refused as a whole, as by every other route. */
function refuseDenied(answers: readonly PromiseSettledResult<unknown>[]): void {
  for (const answer of answers) {
    if (answer.status === 'rejected' && isDenial(answer.reason)) throw answer.reason;
  }
}
