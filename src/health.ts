/** Is the process alive, and can it reach what it needs. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { HttpEnv } from './platform/http';

const TIMEOUT_MS = 5_000;

const healthRoute = createRoute({
  method: 'get',
  path: '/health',
  tags: ['Operation'],
  summary: 'The Worker answers',
  responses: {
    200: {
      description: 'Alive',
      content: { 'application/json': { schema: z.object({ status: z.literal('ok') }) } },
    },
  },
});

const readySchema = z.object({
  status: z.enum(['ready', 'degraded']),
  checks: z.record(z.string(), z.enum(['ok', 'failed'])),
});

const readyRoute = createRoute({
  method: 'get',
  path: '/ready',
  tags: ['Operation'],
  summary: 'D1, R2 and a foreman answer',
  responses: {
    200: {
      description: 'All of them',
      content: { 'application/json': { schema: readySchema } },
    },
    503: {
      description: 'Not all of them',
      content: { 'application/json': { schema: readySchema } },
    },
  },
});

export function createHealthRoutes(
  checks: Readonly<Record<string, () => Promise<unknown>>>,
): OpenAPIHono<HttpEnv> {
  const app = new OpenAPIHono<HttpEnv>();
  app.openapi(healthRoute, (c) => c.json({ status: 'ok' as const }, 200));
  app.openapi(readyRoute, async (c) => {
    const results = await Promise.all(
      Object.entries(checks).map(async ([name, check]) => [name, await passes(check)] as const),
    );
    const ready = results.every(([, result]) => result === 'ok');
    const body = {
      status: ready ? ('ready' as const) : ('degraded' as const),
      checks: Object.fromEntries(results),
    };
    return c.json(body, ready ? 200 : 503);
  });
  return app;
}

async function passes(check: () => Promise<unknown>): Promise<'ok' | 'failed'> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<'failed'>((resolve) => {
    timer = setTimeout(() => resolve('failed'), TIMEOUT_MS);
  });
  try {
    return await Promise.race([check().then(() => 'ok' as const), timeout]);
  } catch {
    return 'failed';
  } finally {
    clearTimeout(timer);
  }
}
