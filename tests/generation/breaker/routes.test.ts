import { env } from 'cloudflare:workers';
import { OpenAPIHono } from '@hono/zod-openapi';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AuditEvent } from '../../../src/accounts/audit/event';
import { unauthorized } from '../../../src/accounts/errors';
import { type BreakerTarget, createBreakers } from '../../../src/generation/breaker/client';
import { createBreakerRoutes } from '../../../src/generation/breaker/routes';
import { AppError } from '../../../src/platform/errors';
import { type HttpEnv, requestContext } from '../../../src/platform/http';
import { consoleLogger } from '../../../src/platform/log';
import { by } from '../../support/foreman';
import { faults, guarded, resetFaults } from '../../support/worker';
import { endOf } from './support';

const breakers = createBreakers({ env: guarded(env), log: consoleLogger, now: () => Date.now() });
let slashed: BreakerTarget;
let capped: BreakerTarget;
let recorded: AuditEvent[];

beforeEach(() => {
  resetFaults();
  recorded = [];
  slashed = { name: `fal/fal-ai/${crypto.randomUUID()}/schnell`, concurrency: null };
  capped = { name: `openai/${crypto.randomUUID()}`, concurrency: 4 };
  for (const level of ['info', 'warn', 'error'] as const) {
    vi.spyOn(console, level).mockImplementation(() => {});
  }
});
afterEach(() => {
  resetFaults();
  vi.restoreAllMocks();
});

async function call(method: 'GET' | 'POST', path: string, isAdmin = true) {
  const app = new OpenAPIHono<HttpEnv>();
  app.use(requestContext(null));
  const authenticate = {
    admin: async () => {
      if (!isAdmin) throw unauthorized();
      return by;
    },
  };
  const targets = () => [slashed, capped];
  const record = async (event: AuditEvent) => void recorded.push(event);
  const now = () => Date.now();
  app.route('/', createBreakerRoutes({ authenticate, breakers, targets, record, now }));
  app.onError((error, c) => {
    if (!(error instanceof AppError)) throw error;
    return c.json({ code: error.code }, 400);
  });
  return (await app.request(path, { method })).json();
}
const list = () => call('GET', '/v1/admin/breakers');
const reset = (id: string) => call('POST', `/v1/admin/breakers/${encodeURIComponent(id)}/reset`);

const untried = {
  state: 'closed',
  reason: null,
  opened_at: null,
  blocked_until: null,
  failures_in_a_row: 0,
  window: { calls: 0, failures: 0 },
  in_use: 0,
  last_success_at: null,
  last_failure_at: null,
  pace: null,
};

const failFiveTimes = async (target: BreakerTarget) => {
  for (let n = 0; n < 5; n += 1) await breakers.report({ target, ...endOf() });
};

describe('the list of breakers', () => {
  it('has every target of the catalogue, called or not', async () => {
    const model = slashed.name.replace('fal/', '');
    expect(await list()).toEqual({
      items: [
        { id: slashed.name, provider: 'fal', model, concurrency: null, ...untried },
        expect.objectContaining({
          id: capped.name,
          provider: 'openai',
          concurrency: 4,
          ...untried,
        }),
      ],
      next_cursor: null,
    });
  });

  it('says what is wrong with a target, since when and until when', async () => {
    await failFiveTimes(slashed);
    const { items } = (await list()) as { items: Record<string, string>[] };
    const [item] = items;
    expect(item).toMatchObject({
      state: 'open',
      reason: 'breaker open after 5 failures in a row',
      failures_in_a_row: 5,
      window: { calls: 5, failures: 5 },
    });
    const at = (field: string) => Date.parse(item?.[field] ?? '');
    expect(at('blocked_until') - at('opened_at')).toBe(30_000);
    expect(at('last_failure_at')).toBe(at('opened_at'));
  });

  it('says how many calls are out and how long they take', async () => {
    await breakers.ask({ targets: [capped], permit: 'p', sole: false });
    for (let n = 0; n < 10; n += 1) {
      await breakers.report({ target: capped, ...endOf({ outcome: 'succeeded' }) });
    }
    expect(await list()).toMatchObject({
      items: [{}, { in_use: 1, pace: { p50_ms: 100, p90_ms: 100 } }],
    });
  });

  it('has the breakers that cannot be reached too', async () => {
    faults.breaker = 'fail';
    faults.times = 1;
    expect(await list()).toMatchObject({
      items: [{ state: 'unknown', reason: 'its breaker cannot be reached' }, { state: 'closed' }],
    });
  });
});

describe('a reset', () => {
  it('closes the breaker of a target, slashes in its name included', async () => {
    await failFiveTimes(slashed);
    expect(await reset(slashed.name)).toMatchObject({ id: slashed.name, ...untried });
    expect(await list()).toMatchObject({ items: [{ state: 'closed' }, {}] });
  });

  it.each(['openai/never-heard-of', 'openai', '%', ''])('of %j is not found', async (id) => {
    const path = `/v1/admin/breakers/${encodeURIComponent(id || '/')}/reset`;
    expect(await call('POST', path)).toEqual({ code: 'not_found' });
  });

  it('of a breaker that cannot be reached is unavailable', async () => {
    faults.breaker = 'fail';
    expect(await reset(capped.name)).toEqual({ code: 'unavailable' });
  });
});

it.each([
  ['GET', '/v1/admin/breakers'],
  ['POST', '/v1/admin/breakers/openai%2Fx/reset'],
] as const)('%s %s is for admins only', async (method, path) => {
  expect(await call(method, path, false)).toEqual({ code: 'unauthorized' });
});
