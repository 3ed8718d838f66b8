// The limits of one user, held against a model that is too simple to be wrong: any submissions, calls,
// cancellations and deletions, many at once, with clocks that jump and an object that is evicted.
import { evictDurableObject } from 'cloudflare:test';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Limits } from '../../src/accounts/types';
import type { RequestId } from '../../src/platform/ids';
import { newTenant, runAlarm, submitTo, type Tenant, usageOf } from '../support/foreman';
import { failure, success } from '../support/states';
import { faults, resetFaults } from '../support/worker';
import { createModel, type Model, PRICE_MICROS } from './model';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const RUNS = 10;
/** So late that no alarm runs by itself. */
const START = Date.UTC(2099, 10, 29, 22);

let clock = START;

beforeAll(() => {
  vi.spyOn(Date, 'now').mockImplementation(() => clock);
  // No consumer takes part: what runs is run by the test.
  faults.generation = 'swallow';
  faults.events = 'swallow';
});
afterEach(() => {
  clock = START;
});
afterAll(() => {
  resetFaults();
  vi.restoreAllMocks();
});

type Command =
  | {
      readonly is: 'submit';
      readonly key: string | null;
      readonly body: string;
      readonly times: number;
    }
  | { readonly is: 'call'; readonly which: number; readonly costMicros: number | null }
  | { readonly is: 'cancel' | 'remove'; readonly which: number }
  | { readonly is: 'jump'; readonly ms: number; readonly alarm: boolean }
  | { readonly is: 'evict' | 'alarm' };

const which = fc.nat(30);
const someCommand: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      is: fc.constant('submit' as const),
      key: fc.option(fc.constantFrom('first', 'second'), { freq: 4 }),
      body: fc.constantFrom('one', 'other'),
      times: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      is: fc.constant('call' as const),
      which,
      /** Null: it fails, and costs nothing. */
      costMicros: fc.option(fc.integer({ min: 0, max: PRICE_MICROS })),
    }),
  },
  { weight: 1, arbitrary: fc.record({ is: fc.constantFrom('cancel', 'remove'), which }) },
  {
    weight: 2,
    arbitrary: fc.record({
      is: fc.constant('jump' as const),
      ms: fc.oneof(
        fc.integer({ min: 0, max: 2 * MINUTE_MS }),
        // To both sides of what an idempotency key lives for.
        fc.constantFrom(23 * HOUR_MS, 25 * HOUR_MS),
        fc.integer({ min: -HOUR_MS, max: 2 * DAY_MS }),
        fc.integer({ min: -40 * DAY_MS, max: 40 * DAY_MS }),
      ),
      alarm: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ is: fc.constantFrom('evict', 'alarm') }) },
);

const closed = { state: 'closed', blockedUntil: null, reason: null, pace: null } as const;
const verdicts = { 'openai/gpt-image-1': closed };

/** One that costs money, at the one target that there is for it. */
const asked = () => ({
  model: 'gpt-image-1',
  floorMicros: PRICE_MICROS,
  deadlineAt: Number.MAX_SAFE_INTEGER,
});

async function submit(
  tenant: Tenant,
  model: Model,
  { key, body, times }: Extract<Command, { is: 'submit' }>,
): Promise<void> {
  const answers = await Promise.all(
    Array.from({ length: times }, () =>
      submitTo(tenant, { ...asked(), idempotencyKey: key }, body),
    ),
  );
  const told = answers.map((answer) =>
    answer.outcome === 'refused'
      ? { outcome: answer.outcome, limit: answer.refusal.limit }
      : { outcome: answer.outcome },
  );
  const expected = answers.map((answer) => {
    const made = answer.outcome === 'accepted' ? answer.state.id : null;
    return model.submit({ key, body, made }, clock);
  });
  // Several at once may be answered in any order: what they are answered is the same.
  const sorted = (list: readonly object[]) => list.map((one) => JSON.stringify(one)).sort();
  expect(sorted(told)).toEqual(sorted(expected));
  for (const answer of answers) {
    if (answer.outcome === 'replayed') expect(answer.state.id).toBe(model.requestOf(key));
  }
}

async function call(
  { foreman }: Tenant,
  request: RequestId,
  costMicros: number | null,
): Promise<void> {
  const token = crypto.randomUUID();
  const claimed = await foreman.claim({ request, release: 1, token, verdicts });
  expect(claimed.verdict).toBe('run');
  const result = costMicros === null ? failure('rejected') : { ...success, costMicros };
  const settled = await foreman.settle({
    ...{ request, token, attempt: 1, result, nextToken: null, verdicts },
  });
  expect(settled.verdict).toBe('settled');
}

async function run(tenant: Tenant, model: Model, command: Command): Promise<void> {
  const { foreman, credential } = tenant;
  switch (command.is) {
    case 'submit':
      return submit(tenant, model, command);
    case 'call': {
      const request = model.pick('live', command.which);
      if (!request) return;
      await call(tenant, request, command.costMicros);
      return model.end(
        request,
        { costMicros: command.costMicros ?? 0, used: command.costMicros !== null },
        clock,
      );
    }
    case 'cancel': {
      const request = model.pick('live', command.which);
      if (!request) return;
      await foreman.cancel({ credential, id: request });
      return model.end(request, { costMicros: 0, used: false }, clock);
    }
    case 'remove': {
      const request = model.pick('kept', command.which);
      if (!request) return;
      await foreman.remove({ credential, id: request, archived: null });
      return model.remove(request, clock);
    }
    case 'jump':
      clock += command.ms;
      if (!command.alarm) return;
      await runAlarm(tenant);
      return model.forget(clock);
    case 'alarm':
      await runAlarm(tenant);
      return model.forget(clock);
    case 'evict':
      return evictDurableObject(tenant.stub);
  }
}

/** What a client is told of its limits after any of it. */
async function agree(tenant: Tenant, model: Model): Promise<void> {
  const { unitsToday, spentMicros, reservedMicros } = await usageOf(tenant);
  expect({ unitsToday, spentMicros, reservedMicros }).toEqual(model.usage(clock));
  const { rateLimit } = await tenant.stub.read({
    credential: tenant.credential,
    id: 'req_00000000000000000000000000',
  });
  const left = Number(/;r=(\d+)/.exec(rateLimit?.RateLimit ?? '')?.[1]);
  expect(Math.abs(left - model.tokens(clock))).toBeLessThanOrEqual(1);
}

const limits: Partial<Limits> = {
  requests_per_minute: 6,
  burst: 5,
  max_running: 1_000,
  images_per_day: 12,
  monthly_budget_usd: (8 * PRICE_MICROS) / 1e6,
};

describe('the token bucket, the budget and the idempotency keys of a user', () => {
  // On a busy machine the test pool sometimes does not come back from an eviction. Then it is told of
  // what command that was, and all of it is tried once more.
  const limited = { timeout: 60_000, retry: 1 };
  it('are what the model says, whatever happens in whatever order', limited, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(someCommand, { minLength: 10, maxLength: 30 }),
        async (commands) => {
          clock = START;
          const tenant = await newTenant(limits);
          const model = createModel({ ...limits, now: clock });
          for (const command of commands) {
            await run(tenant, model, command);
            await agree(tenant, model);
          }
        },
      ),
      { numRuns: RUNS, timeout: 20_000, endOnFailure: true },
    );
  });
});
