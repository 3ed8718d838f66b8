/** The operator's view of the breakers, and the way to close one by hand. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { adminOnly } from '../../accounts/admin-only';
import { type AuditEvent, auditEvent } from '../../accounts/audit/event';
import type { Authenticate } from '../../accounts/authenticate';
import { type HttpEnv, validationHook } from '../../platform/http';
import { adminSecurity, jsonAnswer, problemResponses } from '../../platform/openapi';
import type { Breakers, BreakerTarget } from './client';
import { unknownTarget } from './errors';
import { type BreakerView, partsOf } from './types';

const time = z.iso.datetime().nullable();

const breakerSchema = z
  .object({
    id: z.string().openapi({ example: 'openai/gpt-image-1' }),
    provider: z.string(),
    model: z.string(),
    state: z.enum(['closed', 'half_open', 'open', 'cooling', 'full', 'unknown']).openapi({
      description:
        '`cooling`: the provider asked to wait. `full`: all the calls that it allows at once are ' +
        'in use. `unknown`: the breaker cannot be reached right now.',
    }),
    reason: z.string().nullable().openapi({ description: 'Why it may not be called now.' }),
    opened_at: time,
    blocked_until: time,
    failures_in_a_row: z.int(),
    window: z
      .object({ calls: z.int(), failures: z.int() })
      .openapi({ description: 'The last minute. Refusals and 429s do not count.' }),
    in_use: z.int().openapi({ description: 'Calls that are out, where they are counted.' }),
    concurrency: z
      .int()
      .nullable()
      .openapi({ description: 'Calls that the provider allows at once.' }),
    last_success_at: time,
    last_failure_at: time,
    pace: z
      .object({ p50_ms: z.int(), p90_ms: z.int() })
      .nullable()
      .openapi({ description: 'Of the last 100 successful runs; null below 10.' }),
  })
  .openapi('Breaker');

const pageSchema = z
  .object({ items: z.array(breakerSchema), next_cursor: z.null() })
  .openapi('BreakerPage');

const admin = { tags: ['Admin'], security: adminSecurity };

export function createBreakerRoutes(deps: {
  readonly authenticate: Pick<Authenticate, 'admin'>;
  readonly breakers: Pick<Breakers, 'peek' | 'reset'>;
  /** Every target of the catalogue that has a breaker. */
  readonly targets: () => readonly BreakerTarget[];
  /** Never fails. */
  readonly record: (event: AuditEvent) => Promise<void>;
  readonly now: () => number;
}): OpenAPIHono<HttpEnv> {
  const { authenticate, breakers, targets, record, now } = deps;
  const routes = new OpenAPIHono<HttpEnv>({ defaultHook: validationHook });
  const admins = adminOnly(authenticate);

  const list = createRoute({
    ...admin,
    method: 'get',
    path: '/v1/admin/breakers',
    summary: 'The breaker of every target',
    middleware: [admins],
    responses: { 200: jsonAnswer(pageSchema, 'All of them'), ...problemResponses(401) },
  });
  routes.openapi(list, async (c) => {
    const all = targets();
    const views = await breakers.peek(all);
    const items = all.map((target) => present(target, views[target.name] ?? null));
    return c.json({ items, next_cursor: null }, 200);
  });

  const reset = createRoute({
    ...admin,
    method: 'post',
    path: '/v1/admin/breakers/{id}/reset',
    summary: 'Close a breaker and end its cool-down',
    description: 'Percent-encode the id: `openai%2Fgpt-image-1`. Known within a second everywhere.',
    middleware: [admins],
    request: { params: z.object({ id: z.string() }) },
    responses: {
      200: jsonAnswer(breakerSchema, 'The breaker'),
      ...problemResponses(401, 404, 503),
    },
  });
  routes.openapi(reset, async (c) => {
    const { id } = c.req.valid('param');
    const target = targets().find(({ name }) => name === id);
    if (!target) throw unknownTarget();
    await breakers.reset(target.name);
    // After the reset, which has to work while D1, where the record is kept, is away.
    const what = { action: 'breaker.reset', userId: null, target: target.name } as const;
    await record(auditEvent(c.get('by'), what, now()));
    const views = await breakers.peek([target]);
    return c.json(present(target, views[target.name] ?? null), 200);
  });

  return routes;
}

function present(
  { name, concurrency }: BreakerTarget,
  view: BreakerView | null,
): z.output<typeof breakerSchema> {
  const target = { id: name, ...partsOf(name), concurrency };
  if (!view) return { ...target, ...nothingKnown };
  const { pace } = view;
  return {
    ...target,
    state: view.state,
    reason: view.reason,
    opened_at: iso(view.openedAt),
    blocked_until: iso(view.blockedUntil),
    failures_in_a_row: view.failuresInARow,
    window: view.window,
    in_use: view.inUse,
    last_success_at: iso(view.lastSuccessAt),
    last_failure_at: iso(view.lastFailureAt),
    pace: pace && { p50_ms: pace.p50Ms, p90_ms: pace.p90Ms },
  };
}

const nothingKnown = {
  state: 'unknown',
  reason: 'its breaker cannot be reached',
  opened_at: null,
  blocked_until: null,
  failures_in_a_row: 0,
  window: { calls: 0, failures: 0 },
  in_use: 0,
  last_success_at: null,
  last_failure_at: null,
  pace: null,
} as const;

const iso = (at: number | null) => (at === null ? null : new Date(at).toISOString());
